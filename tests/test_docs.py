"""No public name is without its page in the reference that ``make docs`` builds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import svr_widget
from svr_widget import plot

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {
    page.relative_to(DOCS / "pages").as_posix(): page.read_text() for page in DOCS.rglob("*.md")
}
IN_NAV = set(re.findall(r": (\S+\.md)$", (DOCS / "mkdocs.yml").read_text(), re.MULTILINE))
DESCRIBED = {
    name: page
    for page, text in PAGES.items()
    for name in re.findall(r"^::: svr_widget\.(\S+)$", text, re.MULTILINE)
}


@pytest.mark.parametrize("name", svr_widget.__all__)
def test_public_name_has_a_page(name):
    assert DESCRIBED.get(name) in IN_NAV


@pytest.mark.parametrize("name", get_args(plot.Plot))
def test_picture_has_a_place(name):
    of = getattr(plot, name)
    assert f"{of.__module__}.{name}".removeprefix("svr_widget.") in DESCRIBED


def test_pages_and_nav_agree():
    assert set(PAGES) == IN_NAV
