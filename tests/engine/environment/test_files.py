"""Files written whole: what they may replace, what they keep, and what is left when it fails."""

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from svr_widget.engine.environment import files
from svr_widget.engine.environment.files import destination, replacing, sweep, write_whole

OLD, NEW = b"what stood there", b"what is new"


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "page.html"
    path.write_bytes(OLD)
    return path


def by_name(path):
    """As a library writes that is given a path: another file in the place of the empty one."""
    with replacing(path) as unfinished:
        other = unfinished.with_name("other")
        other.write_bytes(NEW)
        other.chmod(0o600)
        other.replace(unfinished)


@pytest.mark.parametrize("write", [lambda path: write_whole(path, NEW), by_name])
class TestReplaced:
    def test_a_link_stays_and_its_target_is_replaced(self, write, target, tmp_path):
        (tmp_path / "far").mkdir()
        link, chain = tmp_path / "link", tmp_path / "far" / "chain"
        link.symlink_to("page.html")
        chain.symlink_to("../link")
        write(chain)
        assert (link.is_symlink(), chain.is_symlink()) == (True, True)
        assert target.read_bytes() == NEW
        assert not target.is_symlink()
        assert names(tmp_path / "far") == ["chain"]

    def test_a_link_to_nothing_yet(self, write, tmp_path):
        (tmp_path / "link").symlink_to("later")
        write(tmp_path / "link")
        assert (tmp_path / "later").read_bytes() == NEW
        (tmp_path / "lost").symlink_to("gone/later")
        with pytest.raises(FileNotFoundError, match=r"no folder .*gone to write later into"):
            write(tmp_path / "lost")
        (tmp_path / "round").symlink_to("round")
        with pytest.raises(OSError, match="round"):
            write(tmp_path / "round")

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o664])
    def test_permissions_are_kept(self, write, target, mode):
        target.chmod(mode)
        write(target)
        assert stat.S_IMODE(target.stat().st_mode) == mode

    def test_new_files_are_as_others_that_the_process_makes(self, write, tmp_path):
        before = os.umask(0o027)
        try:
            write(tmp_path / "new")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640

    def test_what_is_no_file_is_refused(self, write, tmp_path):
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe")
        # A device in a folder that takes no files, so that a failing test does no harm.
        main, terminal = os.openpty()
        device = os.ttyname(terminal)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(tmp_path / "socket"))
            (tmp_path / "link").symlink_to(tmp_path / "pipe")
            (tmp_path / "terminal").symlink_to(device)
            before = names(tmp_path)
            for name, word in {
                "folder": "a folder is there",
                "pipe": "a pipe is there",
                "socket": "a socket is there",
                "link": "a pipe is there",
                "terminal": "a device is there",
            }.items():
                with pytest.raises(OSError, match=f"{word}.*{name}"):
                    write(tmp_path / name)
            with pytest.raises(OSError, match=f"a device is there.*{device}"):
                write(device)
            assert names(tmp_path) == before
        assert stat.S_ISCHR(os.fstat(terminal).st_mode)
        os.close(main)
        os.close(terminal)
        assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)

    def test_the_output_of_a_process_is_no_file(self, write):
        read, written = os.pipe()
        with pytest.raises(OSError, match="a pipe is there"):
            write(f"/dev/fd/{written}")
        os.close(read)
        os.close(written)

    def test_a_long_name(self, write, tmp_path):
        target = tmp_path / ("ü" * 120 + ".safetensors")
        write(target)
        write(target)
        assert names(tmp_path) == [target.name]


def test_a_file_that_is_write_protected_stays(target, monkeypatch):
    target.chmod(0o444)
    access = os.access
    monkeypatch.setattr(  # root may write anything
        os, "access", lambda path, mode: not mode & os.W_OK and access(path, mode)
    )
    with pytest.raises(PermissionError, match="write-protected"):
        write_whole(target, NEW)
    assert target.read_bytes() == OLD


def test_the_folder_that_one_was_in(tmp_path, monkeypatch):
    (tmp_path / "then").mkdir()
    (tmp_path / "now").mkdir()
    monkeypatch.chdir(tmp_path / "then")
    early = destination("page.html")
    with replacing("held.html") as unfinished:
        monkeypatch.chdir(tmp_path / "now")
        unfinished.write_bytes(NEW)
    write_whole(early, NEW)
    assert (names(tmp_path / "then"), names(tmp_path / "now")) == (["held.html", "page.html"], [])


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace", "interrupt"])
def test_whatever_fails_leaves_what_stood_there_and_nothing_else(step, target, monkeypatch):
    def fails(*_, **__):
        raise KeyboardInterrupt if step == "interrupt" else OSError(errno.ENOSPC, "no space left")

    if step in ("open", "fsync"):
        monkeypatch.setattr(os, step, fails)
    else:
        monkeypatch.setattr(Path, "replace" if step == "replace" else "write_bytes", fails)
    with pytest.raises((OSError, KeyboardInterrupt)):
        write_whole(target, NEW)
    monkeypatch.undo()
    assert target.read_bytes() == OLD
    assert names(target.parent) == ["page.html"]


def test_a_file_system_without_permissions_can_be_written_to(target, monkeypatch):
    def refused(*_):
        raise PermissionError(errno.EPERM, "no permissions here")

    target.chmod(0o606)
    monkeypatch.setattr(Path, "chmod", refused)
    monkeypatch.setattr(os, "chown", refused)
    write_whole(target, NEW)
    assert target.read_bytes() == NEW


def test_content_is_on_the_disk_before_it_has_its_name(target, monkeypatch):
    told = []
    sync, replace = os.fsync, Path.replace

    def syncing(opened):
        told.append("folder" if stat.S_ISDIR(os.fstat(opened).st_mode) else "file")
        sync(opened)

    def replacing_it(path, other):
        told.append("name")
        return replace(path, other)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "replace", replacing_it)
    write_whole(target, NEW)
    assert told == ["file", "name", "folder"]


@pytest.mark.parametrize(("code", "harmless"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_file_systems_that_have_nothing_to_sync(code, harmless, target, monkeypatch):
    def refused(_):
        raise OSError(code, "refused")

    monkeypatch.setattr(os, "fsync", refused)
    if harmless:
        write_whole(target, NEW)
    else:
        with pytest.raises(OSError, match="refused"):
            write_whole(target, NEW)
    assert target.read_bytes() == (NEW if harmless else OLD)


KILLED = """
import os, signal
from svr_widget.engine.environment.files import replacing
with replacing({path!r}) as unfinished:
    unfinished.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


class TestLeftovers:
    @pytest.mark.slow
    def test_of_a_killed_process_are_swept_by_the_next(self, target):
        code = KILLED.format(path=str(target))
        ended = subprocess.run(
            [sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False
        )
        assert ended.returncode < 0
        assert len(names(target.parent)) == 2
        write_whole(target.with_name("another"), NEW)
        assert len(names(target.parent)) == 3, "of another file, which is somebody else's matter"
        write_whole(target, NEW)
        assert names(target.parent) == ["another", "page.html"]

    def test_of_a_living_writer_stay(self, target):
        """Of this process and of another, that of which nothing is known but its number."""
        with replacing(target) as mine:
            theirs = mine.with_name(mine.name.replace(f"-{os.getpid()}-", f"-{os.getppid()}-"))
            theirs.write_bytes(b"half")
            write_whole(target, OLD + NEW)
            assert mine.exists()
            assert theirs.exists()
            mine.write_bytes(NEW)
        assert target.read_bytes() == NEW
        theirs.unlink()

    def test_of_other_machines_and_older_versions_stay_a_day(self, target):
        folder, hexes = target.parent, "0123456789abcdef" * 2
        left = [
            folder / f".page.html.00000000-1-{hexes}.unfinished",
            folder / f".page.html.{hexes}",
            folder / f".page.html-{hexes}",
        ]
        kept = [
            folder / f".other.html-{hexes}",
            folder / ".page.html-notes",
            folder / f"page.html.{hexes}",
            folder / f".page.html.00000000-1-{hexes}",
        ]
        for each in (*left, *kept):
            each.write_bytes(b"half")
        write_whole(target, NEW)
        assert all(each.exists() for each in left)
        for each in (*left, *kept):
            os.utime(each, (0, each.stat().st_mtime - files.LEFT_SECONDS - 60))
        write_whole(target, NEW)
        assert not any(each.exists() for each in left)
        assert all(each.exists() for each in kept)

    def test_sweeping_never_raises(self, tmp_path, monkeypatch):
        sweep(tmp_path / "gone", lambda _: True)
        machine = files._machine()
        odd = tmp_path / f".page.html.{machine}-{10**30}-{'0' * 32}.unfinished"
        odd.mkdir()
        (tmp_path / f".page.html.{machine}-1-{'1' * 32}.unfinished").symlink_to(odd)
        sweep(tmp_path, lambda _: True)
        assert len(names(tmp_path)) == 2


def test_threads_that_write_one_file(target):
    contents = [bytes([65 + each]) * 50_000 for each in range(8)]
    threads = [threading.Thread(target=write_whole, args=(target, each)) for each in contents]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert target.read_bytes() in contents
    assert names(target.parent) == ["page.html"]
