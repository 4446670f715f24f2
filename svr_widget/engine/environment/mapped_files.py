"""Files that stay mapped into memory, and must not be written to meanwhile."""

from __future__ import annotations

from pathlib import Path

from svr_widget.engine.errors import SVRError

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")


class MappedFiles:
    """The files behind weights, as they were when they were mapped.

    One that is replaced by another, or deleted, is still there for whoever has it mapped. One that
    is written to where it is gives other numbers; if it gets shorter, reading it ends the process.

    Args:
        path: of a file; or of a folder, or of an index in it, for every file of weights there.
    """

    def __init__(self, path: Path) -> None:
        """Take note of them."""
        folder = path if path.is_dir() else path.parent if path.suffix == ".json" else None
        files = [path]
        if folder is not None:
            files = [each for each in folder.iterdir() if each.suffix in _WEIGHTS]
        self._known = {file: file.stat() for file in files if file.is_file()}

    def check(self) -> None:
        """Raise ``SVRError`` where one of them was written to."""
        for file, before in self._known.items():
            try:
                now = file.stat()
            except OSError:
                continue
            same = (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
            if now.st_ino == before.st_ino and not same:
                raise SVRError(
                    f"{file} was written to after its weights were mapped, so that they cannot be "
                    "read any more; make the SVR anew"
                )
