"""Files written whole or not at all, at the end of links, and over nothing but ordinary files.

What is new is written under a name of its own in the same folder, brought to the disk, and only
then takes the place of what stood there. A name of its own says which process writes it, so that
what a killed one left can be told from what a living one writes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import stat
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

LEFT_SECONDS = 24 * 3600.0
"""After this long without a change an unfinished file of another machine was left behind."""

_LONGEST = 150
"""Bytes of a target's name that its unfinished file begins with; file systems allow 255."""

_UNFINISHED = re.compile(
    r"\.(?P<of>.+)\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{32}\.unfinished"
)
_CANNOT_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
"""What file systems say that have nothing to bring anywhere."""

_OLDER = re.compile(r"\.(?P<of>.+)[.-][0-9a-f]{32}")
"""As versions up to 0.1 called theirs, without saying which process."""


def destination(path: str | os.PathLike[str]) -> Path:
    """Where a file of this path is to stand: absolute, and at the end of symbolic links.

    Raises:
        OSError: no file can be written there: the folder is not there, or what is there is a
            folder, a device, a pipe or a socket, or may not be written to.
    """
    given = Path(path).absolute()
    try:
        there = given.stat()  # of the end of links, /dev/stdout among them
    except FileNotFoundError:
        there = None
    target = given.resolve()
    if there is None:
        if not target.parent.is_dir():
            raise FileNotFoundError(
                f"there is no folder {target.parent} to write {target.name} into"
            )
    elif stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder is there; name a file in it", str(given))
    elif not stat.S_ISREG(there.st_mode):
        raise OSError(errno.EINVAL, f"{_called(there.st_mode)} is there, and no file", str(given))
    elif not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the file there is write-protected", str(given))
    return target


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """An empty file to write to, which takes the place of ``path`` where the block ends well.

    It keeps the permissions of what stood there, and is gone where the block raises. The block
    may write to it by its name, or put another file in its place.

    Raises:
        OSError: as ``destination`` raises it, or the disk is full; what stood there stays.
    """
    target = destination(path)
    name = _short(target.name)
    sweep(target.parent, lambda of: of == name)
    before = target.stat() if target.exists() else None
    unfinished = target.with_name(f".{name}.{this_process()}-{uuid.uuid4().hex}.unfinished")
    try:
        # Not more open, while it is written, than what it will replace.
        allowed = 0o666 if before is None else stat.S_IMODE(before.st_mode)
        created = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, allowed)
        made = os.fstat(created)
        os.close(created)
        yield unfinished
        _permit(unfinished, made if before is None else before)
        _sync(unfinished)
        unfinished.replace(target)
    finally:
        with contextlib.suppress(OSError):  # what went wrong before is what is to be told
            unfinished.unlink(missing_ok=True)
    if os.name == "posix":
        with contextlib.suppress(OSError):  # some file systems cannot
            _sync(target.parent)


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file; whatever stood there stays until the new content is complete.

    Raises:
        OSError: as in ``replacing``.
    """
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def sweep(folder: Path, ours: Callable[[str], bool]) -> None:
    """Delete what killed processes left unfinished in a folder.

    Args:
        folder: where to look.
        ours: whether what was being written under a name is to be swept.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and _left(entry, ours):
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


def _left(entry: os.DirEntry[str], ours: Callable[[str], bool]) -> bool:
    """Whether an unfinished file has nobody who writes it any more."""
    known = _UNFINISHED.fullmatch(entry.name)
    name = known or _OLDER.fullmatch(entry.name)
    if name is None or not ours(name["of"]):
        return False
    with contextlib.suppress(OSError):
        there = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(there.st_mode):
            return False
        if known and known["machine"] == _machine() and not _runs(int(known["process"])):
            return True
        return time.time() - there.st_mtime > LEFT_SECONDS
    return False


def _short(name: str) -> str:
    """What an unfinished file is called by: the name, a long one by its beginning and a sum."""
    encoded = os.fsencode(name)
    if len(encoded) <= _LONGEST:
        return name
    begin = encoded[: _LONGEST - 9].decode("utf-8", "ignore")
    return f"{begin}~{zlib.crc32(encoded):08x}"


def _permit(path: Path, like: os.stat_result) -> None:
    """Give a file the owner and the permissions of another, as far as the file system has them."""
    there = path.stat()
    if os.name == "posix" and (there.st_uid, there.st_gid) != (like.st_uid, like.st_gid):
        with contextlib.suppress(OSError):
            os.chown(path, like.st_uid, like.st_gid)
    if there.st_mode != like.st_mode:
        with contextlib.suppress(PermissionError):
            path.chmod(stat.S_IMODE(like.st_mode))


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk; raises ``OSError`` where that fails."""
    opened = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(opened)


def _called(mode: int) -> str:
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def this_process() -> str:
    """A name for this process that no other one has, on whatever machine."""
    return f"{_machine()}-{os.getpid()}"


@cache
def _machine() -> str:
    """Which numbers of processes mean the same: those of one boot and one container."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return f"{zlib.crc32(' '.join(parts).encode()):08x}"


def _runs(process: int) -> bool:
    if os.name != "posix":  # elsewhere to ask is to end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
