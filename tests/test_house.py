"""What ARCHITECTURE.md and CONTRIBUTING.md say of the house is so, and no room is overfull."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PAGES = ("ARCHITECTURE.md", "CONTRIBUTING.md")
ROOTS = ("svr_widget", "js/src")
MOST_ENTRIES = 12

SOURCES = {".css", ".json", ".py", ".ts"}
SUFFIXES = SOURCES | {".ipynb", ".md", ".toml", ".txt", ".yml"}
MADE = re.compile(r"\.venv(-coverage)?/|build/coverage/|docs/build|svr_widget/widget/static/")
"""What is there only once it was built."""


def sources(root: str) -> Iterator[Path]:
    """The source files below a folder, from the top of the repository."""
    for path in (REPOSITORY / root).rglob("*"):
        relative = path.relative_to(REPOSITORY)
        if path.suffix in SOURCES and not MADE.match(relative.as_posix()):
            yield relative


def folders(root: str) -> set[str]:
    return {
        parent.as_posix()
        for path in sources(root)
        for parent in path.parents
        if parent.is_relative_to(root)
    }


def drawn(page: str) -> Iterator[str]:
    """The paths in a page's trees, in which what stands in a folder is indented below it."""
    for tree in re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        above: list[str] = []
        for line in filter(None, tree.split("\n")):
            indent, name = re.match(r"( *)(\S+)", line).groups()
            depth = len(indent) // 2
            above = [*above[:depth], name.rstrip("/")]
            yield "/".join(above)


def named(page: str) -> Iterator[str]:
    """The paths in a page's words: its links, and what is set as code and reads like a path."""
    prose = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"\]\(([^):#]+)\)", prose)
    for code in re.findall(r"`([^`]+)`", prose):
        for word in code.split():
            is_path = re.fullmatch(r"\.?\w[\w.-]*(/[\w.-]+)*/?", word)
            if is_path and ("/" in word or Path(word).suffix in SUFFIXES):
                yield word


@pytest.mark.parametrize("root", ROOTS)
def test_architecture_draws_every_folder(root):
    tree = set(drawn((REPOSITORY / "ARCHITECTURE.md").read_text()))
    assert sorted(folders(root) - tree) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_path_of_a_page_is_there(page):
    text = (REPOSITORY / page).read_text()
    paths = {path for path in (*drawn(text), *named(text)) if not MADE.match(path)}
    assert len(paths) > 30, "the reader of paths is blind"
    assert sorted(path for path in paths if not (REPOSITORY / path).exists()) == []


@pytest.mark.parametrize("root", ROOTS)
def test_no_folder_is_overfull(root):
    aside = {"__init__.py", "py.typed"}
    entries = {path for each in sources(root) for path in (each, *each.parents)}
    inside = (path for path in entries if path.parent.is_relative_to(root))
    count = Counter(path.parent.as_posix() for path in inside if path.name not in aside)
    assert {folder: many for folder, many in count.items() if many > MOST_ENTRIES} == {}
