"""What the page imports is what Python says, and colours are the same on screen and in print."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn

from svr_widget import SVR, SVRWidget
from svr_widget.engine.errors import ThresholdError
from svr_widget.engine.significance.multiple_testing import LEVELS, MODES, check_level
from svr_widget.plot import DARK, LIGHT
from svr_widget.plot.columns import YScale
from svr_widget.widget.wire.contract import KINDS, WRITTEN, Y_SCALES, as_typescript
from tests.engine.support.zoo import attention

BASE = Path(__file__).parents[3] / "js" / "src" / "styles" / "base.css"
WORDS = ("paper", "ink", "soft", "rule", "accent", "neutral")


def test_the_written_contract_is_pythons() -> None:
    assert WRITTEN.read_text("utf-8") == as_typescript(), (
        "run `python -m svr_widget.widget.wire.contract`"
    )


@pytest.mark.parametrize(("theme", "place"), [(LIGHT, 0), (DARK, 1)])
def test_colours_are_those_of_the_stylesheet(theme: object, place: int) -> None:
    css = BASE.read_text("utf-8")
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"--svr-([a-z]+): (#[0-9a-f]{6});", css):
        found.setdefault(name, []).append(value)
    drawn = {word: getattr(theme, word) for word in WORDS} | dict(LIGHT.kinds)
    drawn |= {kind: theme.hue(kind) for kind in LIGHT.kinds}  # type: ignore[attr-defined]
    assert len(drawn) == 11
    assert drawn == {name: found[name][place] for name in drawn}


@pytest.mark.parametrize("mode", MODES)
def test_levels_are_in_their_own_range(mode: str) -> None:
    levels = LEVELS[mode]
    check_level(mode, levels.default)
    for end, included in zip((levels.lowest, levels.highest), levels.includes, strict=True):
        if included:
            check_level(mode, end)
        else:
            with pytest.raises(ThresholdError, match=re.escape(levels.words(mode))):
                check_level(mode, end)


def test_the_widget_begins_with_the_default_level() -> None:
    assert SVRWidget(SVR([[[1.0, 0.0], [0.0, 2.0]]])).threshold == LEVELS["fdr"].default


def test_scales_are_those_of_print() -> None:
    assert get_args(YScale) == Y_SCALES


def test_every_kind_of_map_has_a_hue() -> None:
    models = {
        "linear": nn.Linear(3, 3),
        "convolution": nn.Conv2d(2, 3, 3),
        "transposed convolution": nn.ConvTranspose2d(2, 3, 3),
        "embedding": nn.Embedding(5, 3),
    }
    for kind, model in models.items():
        assert [each.kind for each in SVR(model).maps.values()] == [kind]
    svr = SVR(attention.ViT(), torch.zeros(1, 3, 8, 8), exclude="positions")
    assert "attention" in {each.kind for each in svr.maps.values()}
    assert set(KINDS) == {*models, "attention"}
    for theme in (LIGHT, DARK):
        assert len({theme.hue(kind) for kind in KINDS}) == len(KINDS) - 1  # convolutions share one
