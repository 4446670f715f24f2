"""Links from the caller's own list."""

from __future__ import annotations

import pytest
import torch

from svr_widget.engine.errors import TraceError, WidthMismatchError
from svr_widget.engine.maps.bundles import depths
from svr_widget.engine.maps.layer_kinds import parts_of
from svr_widget.engine.maps.links import Link
from svr_widget.engine.network.pairs import links_from_pairs
from tests.engine.support.zoo import chains, maps_of


def test_pairs_become_links() -> None:
    modules = maps_of(chains.perceptron())
    links, layouts = links_from_pairs([("0", "3"), ("3", "5")], modules)
    assert [(k.producer, k.consumer, k.shared, k.backward) for k in links] == [
        ("0", "3", 9, False),
        ("3", "5", 7, False),
    ]
    assert torch.equal(links[0].producer_channels, torch.arange(9))
    assert layouts == {}


def test_flattening_is_inferred_channels_first() -> None:
    links, layouts = links_from_pairs([("conv2", "fc1")], maps_of(chains.LeNet()))
    assert torch.equal(layouts["fc1"].index, torch.arange(54).view(6, 9))
    assert layouts["fc1"].kernel == (3, 3)
    assert torch.equal(links[0].consumer_channels, torch.arange(6))


def test_against_the_order_is_backward() -> None:
    links, _ = links_from_pairs([("hidden", "hidden")], maps_of(chains.Recurrent()))
    assert links[0].backward


def test_only_cycles_run_backward() -> None:
    parts = maps_of(chains.Reused())
    links, _ = links_from_pairs([("between", "shared"), ("shared", "outlet")], parts)
    assert [link.backward for link in links] == [False, False]
    links, _ = links_from_pairs([("between", "shared"), ("shared", "between")], parts)
    assert [link.backward for link in links] == [True, False]
    assert depths(links, list(parts))["between"] == 1


def test_a_cycle_without_a_way_back_is_refused() -> None:
    channels = torch.arange(4)
    links = [Link("a", "b", channels, channels), Link("b", "a", channels, channels)]
    with pytest.raises(TraceError, match="is a cycle; mark one of its links with backward=True"):
        depths(links, ["a", "b"])


def test_widths_must_fit() -> None:
    with pytest.raises(WidthMismatchError, match=r"'0' writes 9 .*9x6.*'5' reads 7 .*3x7"):
        links_from_pairs([("0", "5")], maps_of(chains.perceptron()))


def test_two_producers_must_flatten_alike() -> None:
    modules = maps_of(chains.LeNet())
    (modules["other"],) = parts_of(torch.nn.Conv2d(1, 9, 3), "other")
    with pytest.raises(WidthMismatchError, match=r"'fc1'.*'other'"):
        links_from_pairs([("conv2", "fc1"), ("other", "fc1")], modules)


def test_nothing_leads_into_an_embedding() -> None:
    modules = maps_of(
        torch.nn.ModuleDict({"a": torch.nn.Linear(2, 9), "table": torch.nn.Embedding(9, 3)})
    )
    with pytest.raises(TraceError, match="looks up tokens"):
        links_from_pairs([("a", "table")], modules)


def test_unknown_names_are_refused_with_a_suggestion() -> None:
    with pytest.raises(TraceError, match="did you mean 'conv1'"):
        links_from_pairs([("cnov1", "conv2")], maps_of(chains.LeNet()))
