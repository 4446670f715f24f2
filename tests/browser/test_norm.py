"""Folding the norms from the page, where there are some."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.lab import Notebook
from tests.browser.networks import SHOW
from tests.browser.picture import picture_of

NORMED = """
import torch
from torch import nn
from svr_widget import SVRWidget

torch.manual_seed(1)
def network(norm):
    with torch.no_grad():
        norm.weight.uniform_(0.1, 3)
    return nn.Sequential(nn.Conv2d(2, 12, 3), norm, nn.ReLU(), nn.Conv2d(12, 9, 3)).eval()

example = torch.zeros(1, 2, 9, 9)
widget = SVRWidget(network(nn.BatchNorm2d(12)), example, p=0.2)
"""


def test_norms_are_folded_where_there_are_some(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook(NORMED, SHOW)
    picture = picture_of(notebook)
    fold = picture.root.get_by_role("button", name="fold norms")
    caption = picture.root.locator('[data-svr="cell"]')
    expect(fold).to_have_attribute("aria-pressed", "false")
    expect(caption).to_contain_text("through batch_norm (1), ignored; relu")
    fold.click()
    notebook.wait_for_python("widget.svr.norm == 'fold'")
    expect(fold).to_have_attribute("aria-pressed", "true")
    expect(caption).to_contain_text("through batch_norm (1), folded; relu")
    significant = notebook.python("widget.svr.significance().cut(p=0.2).significant")
    expect(picture.root.locator('[data-svr="significant"]')).to_have_attribute(
        "data-value", str(significant)
    )


def test_norms_that_cannot_be_folded_are_refused_in_the_page(
    open_notebook: Callable[..., Notebook],
) -> None:
    groups = NORMED.replace("nn.BatchNorm2d(12)", "nn.GroupNorm(2, 12)")
    notebook = open_notebook(groups, SHOW)
    picture = picture_of(notebook)
    before = picture.count("significant")
    fold = picture.root.get_by_role("button", name="fold norms")
    fold.click()
    expect(notebook.page.locator('[data-svr="notice"]')).to_contain_text("group_norm (1)")
    expect(fold).to_have_attribute("aria-pressed", "false")
    assert picture.count("significant") == before
    assert notebook.python("widget.norm") == "ignore"
