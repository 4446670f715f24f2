"""The largest choice within bounds, against all subsets, and how often anything is run."""

import itertools

import numpy as np
import pytest

from svr_widget.engine.compression.removal.outputs import Difference
from svr_widget.engine.compression.removal.selection import FEW, TRIES, largest_choice


class Changes:
    """A network of which only is known how its outputs change; entries add up, and then bend."""

    def __init__(self, seed, count, bend=0.0, entries=6):
        draw = np.random.default_rng(seed)
        sizes = 10.0 ** draw.uniform(-2, 0, (count, 1))
        self.moved = draw.standard_normal((count, entries)) * sizes
        self.bend, self.runs = bend, 0

    def relative(self, choice):
        total = self.moved[choice].sum(axis=0)
        return total + self.bend * total**2

    def __call__(self, choice, enough=np.inf):
        self.runs += 1
        entries = self.relative(choice)
        largest = float(np.abs(entries).max(initial=0))
        return Difference(largest, 1.0, entries.astype(np.float32))


@pytest.mark.parametrize("bend", [0.0, 0.2])
@pytest.mark.parametrize("seed", range(10))
def test_no_subset_is_larger(seed, bend):
    changes, count = Changes(seed, 9, bend), 9
    sizes = np.random.default_rng(seed).integers(1, 4, count)
    subsets = [np.array(each) for each in itertools.product([False, True], repeat=count)]
    for allowed in (0.05, 0.2, 0.7):
        fitting = [s for s in subsets if np.abs(changes.relative(s)).max() <= allowed]
        best = max(int(sizes[s].sum()) for s in fitting)
        changes.runs = 0
        found = largest_choice(sizes, changes, allowed)
        assert int(sizes[found.chosen].sum()) == best
        assert np.abs(changes.relative(found.chosen)).max() <= allowed
        assert changes.runs <= 1 + count + TRIES * int(sizes.sum()) + count
        singles = np.eye(count, dtype=bool)
        assert found.alone == pytest.approx([np.abs(changes.relative(s)).max() for s in singles])


@pytest.mark.parametrize("seed", range(4))
def test_many_within_few_runs_and_nothing_more_fits(seed):
    count = 60
    changes, sizes = Changes(seed, count, 0.1), np.ones(count, int)
    found = largest_choice(sizes, changes, 0.3)
    assert changes.runs <= 2 * count + 2 + np.log2(count)
    for place in np.flatnonzero(~found.chosen):
        wider = found.chosen.copy()
        wider[place] = True
        assert np.abs(changes.relative(wider)).max() > 0.3
    ascending = np.argsort(found.alone)
    by_share = next(
        k for k in range(count, -1, -1) if changes(_first(ascending, k)).relative <= 0.3
    )
    assert found.chosen.sum() >= by_share


def _first(order, count):
    return np.isin(np.arange(len(order)), order[:count])


@pytest.mark.parametrize("count", [4, FEW + 3])
def test_what_spoils_the_output_stays(count):
    changes = Changes(0, count)
    changes.moved[1] = np.nan
    changes.moved[2:] *= 1e-3
    found = largest_choice(np.ones(count, int), changes, 0.1)
    assert not found.chosen[1]
    assert found.chosen[2:].all()


def test_none_and_all():
    changes = Changes(0, 5)
    assert not largest_choice(np.ones(5, int), changes, 0.0).chosen.any()
    assert largest_choice(np.ones(5, int), changes, 1e9).chosen.all()


@pytest.mark.parametrize("count", [FEW, FEW + 1])
def test_many_are_foretold_by_a_glance_and_chosen_by_all(count):
    changes, glanced = Changes(3, count), []

    def glance(choice):
        glanced.append(choice)
        whole = changes.relative(choice)[:2]
        return Difference(float(np.abs(whole).max(initial=0)), 1.0, whole.astype(np.float32))

    found = largest_choice(np.ones(count, int), changes, 0.3, glance)
    assert len(glanced) == (0 if count <= FEW else count + 1)
    assert found.chosen.any()
    assert np.abs(changes.relative(found.chosen)).max() <= 0.3
