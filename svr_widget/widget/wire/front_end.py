"""Finds the built front end that the wheel carries, and lets a page load it once."""

from __future__ import annotations

import gzip
import hashlib
from importlib.resources import files

# anywidget makes a module of every widget's ``_esm``, and a browser keeps a module for as long as
# the page lives: one of this size for each widget that was ever shown. So that module is this small
# one, which loads the front end from another trait, once for all widgets of one release.
_LOADER = """\
const key = Symbol.for("svr_widget %s");
const load = async (packed) => {
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const code = await new Response(unpacked).blob();
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  try {
    return (await import(url)).default;
  } finally {
    URL.revokeObjectURL(url);
  }
};
export default {
  async render(context) {
    globalThis[key] ??= load(context.model.get("_code"));
    try {
      return (await globalThis[key]).render(context);
    } catch (error) {
      delete globalThis[key];
      throw error;
    }
  },
};
"""


def read(name: str) -> str:
    """Return the text of a built file.

    Text, not a path: anywidget keeps every widget alive whose ``_esm`` is a path.

    Raises:
        FileNotFoundError: this is a checkout whose front end was never built.
    """
    resource = files("svr_widget.widget") / "static" / name
    if not resource.is_file():
        message = f"{name} is not built; run `python js/hatch_build.py` in the checkout"
        raise FileNotFoundError(message)
    return resource.read_text(encoding="utf-8")


def packed(name: str) -> bytes:
    """A built file, compressed: every widget sends it and every saved notebook holds it."""
    return gzip.compress(read(name).encode(), mtime=0)


def loader(code: bytes) -> str:
    """The module that loads ``code``, which ``packed`` made and the model has as ``_code``."""
    return _LOADER % hashlib.sha256(code).hexdigest()
