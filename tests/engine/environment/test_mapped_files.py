"""Files that stay mapped are not written to meanwhile."""

import os

import pytest

from svr_widget.engine.environment.mapped_files import MappedFiles
from svr_widget.engine.errors import SVRError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"0123")
    os.utime(path, ns=(1, 1))
    return path


def in_place(path):
    with path.open("r+b") as stream:
        stream.write(b"4")


def shorter(path):
    with path.open("r+b") as stream:
        stream.truncate(1)


@pytest.mark.parametrize("change", [in_place, shorter])
@pytest.mark.parametrize("named", [lambda path: path, lambda path: path.parent])
def test_one_that_is_written_to_is_named(file, change, named):
    mapped = MappedFiles(named(file))
    mapped.check()
    change(file)
    with pytest.raises(SVRError, match=r"w\.safetensors was written to.*make the SVR anew"):
        mapped.check()


def test_one_that_is_replaced_or_deleted_is_still_mapped(file):
    mapped = MappedFiles(file)
    new = file.with_suffix(".new")
    new.write_bytes(b"other")
    new.replace(file)
    mapped.check()
    file.unlink()
    mapped.check()


def test_what_else_lies_in_the_folder_may_change(file):
    log = file.with_name("log.txt")
    log.write_text("a")
    mapped = MappedFiles(file.parent)
    log.write_text("ab")
    mapped.check()
