"""Modules that columns stand in, which of them are folded, and links summed over their columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from svr_widget import SVR
from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.folding import (
    MOST,
    folded_links,
    groups_of,
    label_of,
    modules_of,
)
from svr_widget.engine.maps.labels import Labels

RESNET = [
    "conv1",
    *(
        f"layer{stage}.{block}.{name}"
        for stage, blocks in enumerate((3, 4, 6, 3), 1)
        for block in range(blocks)
        for name in ("conv1", "conv2", "conv3", *(("downsample.0",) if block == 0 else ()))
    ),
    "fc",
]


def gpt(layers: int, heads: int) -> list[str]:
    found = ["transformer.wte", "transformer.wpe"]
    for layer in range(layers):
        at = f"transformer.h.{layer}"
        found += [f"{at}.attn[{kind}.{head}]" for kind in ("QK", "OV") for head in range(heads)]
        found += [f"{at}.mlp.c_fc", f"{at}.mlp.c_proj"]
    return [*found, "lm_head"]


@pytest.mark.parametrize("names", [RESNET, gpt(12, 12), ["a.b.x[0]", "a.b.x[1]", "a.c", "d", "e"]])
def test_a_module_holds_what_begins_with_its_name(names: list[str]) -> None:
    modules = modules_of(names)
    assert len(modules) > 0
    for module in modules:
        begins = [
            at
            for at, name in enumerate(names)
            if name.startswith((f"{module.name}.", f"{module.name}["))
        ]
        assert list(module.columns) == begins
        assert 2 <= len(begins) < 0.75 * len(names)
        if module.parent is not None:
            assert set(begins) < set(modules[module.parent].columns)


def test_what_nearly_all_share_is_no_module() -> None:
    names = {module.name for module in modules_of(gpt(3, 2))}
    assert names == {f"transformer.h.{i}{end}" for i in range(3) for end in ("", ".attn", ".mlp")}


def test_a_module_that_holds_but_another_is_that_one() -> None:
    names = ["a.inner.x", "a.inner.y", "b.x", "b.y"]
    assert [module.name for module in modules_of(names)] == ["a", "b"]


@pytest.mark.parametrize(
    ("names", "seen"),
    [
        (RESNET, 18),  # block by block
        (gpt(12, 12), 15),
        (gpt(48, 25), 11),  # more blocks than are to be seen: ranges of six
        (
            [
                "embed",
                *(
                    f"{side}.{i}.{end}"
                    for side in ("enc", "dec")
                    for i in range(16)
                    for end in "ab"
                ),
            ],
            33,
        ),
        (gpt(2, 2), len(gpt(2, 2))),
        ([str(2 * i) for i in range(100)], 10),
        ([f"layers.{i}" for i in range(100)], 10),
        ([f"{side}.layers.{i}" for side in ("enc", "dec") for i in range(50)], 20),
        ([f"fc{i}" for i in range(2000)], 24),
    ],
)
def test_at_first_few_columns_are_seen(names: list[str], seen: int) -> None:
    assert len(groups_of(names, modules_of(names))) == seen


def test_ranges_are_modules_of_what_follows_each_other() -> None:
    names = [f"fc{i}" for i in range(1, 101)]
    modules = modules_of(names)
    assert [module.name for module in modules] == [f"fc{i}-fc{i + 9}" for i in range(1, 101, 10)]
    assert [module.columns for module in modules] == [
        tuple(range(i, i + 10)) for i in range(0, 100, 10)
    ]
    groups = groups_of(names, modules, ["fc11-fc20"])
    assert [group.name for group in groups][9:12] == ["fc10", "fc11-fc20", "fc21"]


def test_ranges_stand_within_modules_and_hold_modules() -> None:
    names = gpt(48, 25)
    modules = modules_of(names)
    name = {at: module.name for at, module in enumerate(modules)}
    parents = {each.name: each.parent is not None and name[each.parent] for each in modules}
    assert parents["transformer.h.6-11"] is False
    assert parents["transformer.h.7"] == "transformer.h.6-11"
    assert parents["transformer.h.7.attn"] == "transformer.h.7"
    assert parents["transformer.h.7.attn[QK.5-9]"] == "transformer.h.7.attn"
    for module in modules:
        if module.parent is not None:
            assert set(module.columns) < set(modules[module.parent].columns)


def test_two_thousand_layers_are_ranges_of_ranges() -> None:
    modules = modules_of([f"fc{i}" for i in range(2000)])
    within: dict[int | None, int] = {}
    for at, module in enumerate(modules):
        within[module.parent] = within.get(module.parent, 0) + 1
        within.setdefault(at, 0)
    sides = [many or len(modules[at].columns) for at, many in within.items() if at is not None]
    assert max([*sides, within[None]]) <= MOST


def test_a_range_has_a_name_of_its_own() -> None:
    names = ["0-9.x", "0-9.y", *(str(i) for i in range(100))]
    found = [module.name for module in modules_of(names)]
    assert len(set(found)) == len(found)
    assert {"0-9", "0-9~"} <= set(found)


def test_a_range_is_called_as_its_ends_are() -> None:
    columns = [str(2 * i) for i in range(30)]
    labels = Labels({name: f"Linear {i + 1}" for i, name in enumerate(columns)})
    assert label_of(modules_of(columns)[0], labels) == "Linear 1-3"
    blocks = [f"net.{i}.{end}" for i in range(32) for end in "ab"]
    shorter = Labels({name: name.removeprefix("net.") for name in blocks}, "net.")
    assert label_of(modules_of(blocks)[0], shorter) == "0-3"


def test_a_small_network_is_not_folded_at_first() -> None:
    names = RESNET[:MOST]
    assert not any(module.folded for module in modules_of(names))
    assert any(module.folded for module in modules_of(RESNET[: MOST + 1]))


def test_what_opens_shows_its_own_modules_folded_where_they_are_large() -> None:
    names = gpt(12, 12)
    folded = {module.name for module in modules_of(names) if module.folded}
    groups = groups_of(names, modules_of(names), folded - {"transformer.h.3"})
    at = "transformer.h.3"
    assert [group.name for group in groups][5:8] == [
        f"{at}.attn",
        f"{at}.mlp.c_fc",
        f"{at}.mlp.c_proj",
    ]


def test_an_outer_fold_hides_an_inner_one() -> None:
    names = gpt(2, 2)
    folded = ["transformer.h.0", "transformer.h.0.attn"]
    groups = groups_of(names, modules_of(names), folded)
    assert [group.name for group in groups][:4] == [*names[:2], "transformer.h.0", *names[8:9]]
    assert sorted(at for group in groups for at in group.columns) == list(range(len(names)))


def test_a_name_of_no_module_is_refused_with_the_nearest() -> None:
    with pytest.raises(SVRError, match=r"no module 'layer9'; did you mean 'layer"):
        groups_of(RESNET, modules_of(RESNET), ["layer9"])
    with pytest.raises(SVRError, match="no module of this graph has several columns"):
        groups_of(["0", "2"], modules_of(["0", "2"]), ["0"])


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(torch.relu(self.up(x)))


@pytest.fixture(scope="module")
def svr() -> SVR:
    torch.manual_seed(4)
    return SVR(nn.Sequential(nn.Linear(6, 8), *(Block(8) for _ in range(3)), nn.Linear(8, 5)))


@pytest.mark.parametrize("threshold", [{"p": 0.05}, {"fdr": 0.3}, {"bonferroni": 0.5}])
def test_links_are_summed_over_the_columns_of_a_module(
    svr: SVR, threshold: dict[str, float]
) -> None:
    found = folded_links(svr, ["1", "3"], **threshold)
    names = [group.name for group in found.groups]
    assert names == ["0", "1", "2.up", "2.down", "3", "4"]
    edges = svr.edges(**threshold)
    group = {name: name.split(".")[0] if name[0] in "13" else name for name in svr.maps}
    for row, consumer in enumerate(names):
        for column, producer in enumerate(names):
            between = (edges.producer.map(group) == producer) & (
                edges.consumer.map(group) == consumer
            )
            assert found.significant[row, column] == between.sum()
            joined = [
                key for key in svr.links if (group[key[0]], group[key[1]]) == (producer, consumer)
            ]
            assert found.links[row, column] == len(joined)
            sizes = [np.prod(svr.adjacency(key).shape) for key in joined]
            assert found.tests[row, column] == sum(sizes)
    assert found.significant.sum() == len(edges)
    if "p" in threshold:
        np.testing.assert_allclose(found.expected, 0.05 * found.tests, rtol=1e-6)
