"""Finds the built front end that the wheel carries."""

from __future__ import annotations

from importlib.resources import files


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
