"""What a budget buys, against every choice there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from svr_widget.engine.compression.pruning.allocation import Item, allocate
from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR


def random_items(seed):
    random = np.random.default_rng(seed)
    items = {}
    for name in "abc":
        outputs, inputs = random.integers(2, 7, 2)
        squares = np.sort(random.gamma(0.5, size=min(outputs, inputs)))[::-1]
        items[name] = Item(squares / squares.sum(), int(outputs + inputs), int(outputs * inputs))
    return items


def exhausted(items, budget):
    """The least sum of squared relative errors that any choice within the budget has."""
    best = np.inf
    options = [range(1 if i.cost < i.whole else len(i.gains), len(i.gains) + 1) for i in items]
    for choice in itertools.product(*options):
        pairs = list(zip(items, choice, strict=True))
        if sum(min(kept * item.cost, item.whole) for item, kept in pairs) <= budget:
            best = min(best, sum(float(item.gains[kept:].sum()) for item, kept in pairs))
    return best


@pytest.mark.parametrize("seed", range(30))
def test_near_the_best_of_all_choices_and_it_says_how_near(seed):
    items = random_items(seed)
    whole = sum(item.whole for item in items.values())
    hit = 0
    least = sum(item.spent(item.least) for item in items.values())
    for budget in range(least, whole + 1):
        found = allocate(items, budget)
        assert sum(items[name].spent(kept) for name, kept in found.kept.items()) <= budget
        left = sum(float(items[name].gains[kept:].sum()) for name, kept in found.kept.items())
        assert found.error == pytest.approx(left, abs=1e-12)
        best = exhausted(list(items.values()), budget)
        assert found.bound - 1e-12 <= best <= found.error + 1e-12
        # One step at most is missed.
        assert found.error - found.bound <= max(float(i.gains.sum()) for i in items.values())
        hit += found.error <= best + 1e-12
    assert allocate(items, whole).error == pytest.approx(0, abs=1e-12)
    assert hit > 0.5 * (whole - least)


def test_more_parameters_are_never_worse_to_the_bound():
    items = random_items(0)
    bounds = [allocate(items, budget).bound for budget in range(40, 60)]
    assert np.all(np.diff(bounds) <= 1e-12)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 36, 30),
        nn.ReLU(),
        nn.Linear(30, 20),
    ).double()


@pytest.mark.parametrize("method", ["svr", "cosvr"])
@pytest.mark.parametrize("share", [0.15, 0.3, 0.7])
def test_two_layers_hold_what_the_budget_allows(method, share):
    model = network()
    example = torch.zeros(1, 3, 6, 6).double()
    svr = SVR(model, example, method=method)
    held = sum(linear.weight.numel() for linear in svr.maps.values())
    _, report = svr.prune(budget=share, factored=True)
    stayed = report.maps.remark.str.contains("flattened")  # by the co-SVR it stays one layer
    assert report.maps.parameters_after[~stayed].sum() <= share * held
    assert report.bound <= report.squared_error + 1e-9
    assert report.maps.kept.min() > 0
    number = svr.prune(budget=int(share * held), factored=True)[1]
    assert number.maps.kept.tolist() == report.maps.kept.tolist()


def test_an_empty_map_is_no_choice():
    svr = SVR(network())
    needed = (27 + 8) + (36 * 2 + 8) + (288 + 30) + (30 + 20)
    assert svr.prune(budget=needed, factored=True)[1].maps.parameters_after.sum() == needed
    with pytest.raises(SVRError, match=f"one neuron of every map takes {needed}"):
        svr.prune(budget=needed - 1)


def test_scaling_two_layers_against_each_other_changes_nothing():
    model = network()
    kept = SVR(model).prune(budget=0.3)[1].maps.kept.tolist()
    with torch.no_grad():
        model[5].weight.mul_(1000)
        model[5].bias.mul_(1000)
        model[7].weight.div_(1000)
    assert SVR(model).prune(budget=0.3)[1].maps.kept.tolist() == kept
