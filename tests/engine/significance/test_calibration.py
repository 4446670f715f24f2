"""p-values of every kind of link between random weights are uniform: ``P(p <= t) = t``.

Weights are drawn many at a time: independent networks side by side are groups of one network, and
one entry of each is an independent draw. Repeated channels, products of heads and folded norms are
calibrated beside their other tests.
"""

import functools
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy import stats

from svr_widget.engine.decompose import decompose
from svr_widget.engine.graph.adjacency import Adjacency, sides
from svr_widget.engine.maps.links import Link
from svr_widget.engine.significance.nulls import NullLaw

LEVELS = (0.5, 0.15, 0.05, 0.01, 0.001)
DRAWS = 1000
AT_ONCE = 100


class Case(NamedTuple):
    """Shapes ``[out, in/groups, *kernel]``, groups, and the channels that travel."""

    first: tuple[int, ...]
    second: tuple[int, ...]
    groups: tuple[int, int] = (1, 1)
    sent: tuple[int, ...] | None = None
    read: tuple[int, ...] | None = None


CASES = {
    "plain": Case((3, 7), (6, 3)),
    "convolutions": Case((3, 2, 3), (6, 3, 2, 2)),
    "flattened": Case((4, 3, 2, 2), (6, 4, 3, 3)),
    "concatenated": Case((3, 5, 2), (6, 7, 3), sent=(0, 1, 2), read=(6, 0, 3)),
    "split": Case((3, 5, 2), (5, 2, 2), sent=(2, 0), read=(0, 1)),
    "split and concatenated": Case((3, 4, 2), (6, 4, 2), sent=(2, 0), read=(1, 3)),
    "depthwise consumer": Case((4, 7), (4, 1, 3), (1, 4)),
    "depthwise producer": Case((4, 1, 3), (6, 4, 2), (4, 1)),
    "grouped consumer": Case((6, 5, 2), (4, 3, 2), (1, 2)),
    "grouped producer": Case((6, 2, 3), (5, 6, 2), (2, 1)),
    "group to group": Case((6, 4, 2), (4, 3, 2), (2, 2)),
    "groups that overlap": Case((6, 2, 3), (9, 2, 2), (2, 3)),
    "groups shuffled": Case((6, 2), (6, 3), (3, 2), tuple(range(6)), (0, 3, 1, 4, 2, 5)),
}


def many(case, method, seed):
    """An adjacency of ``AT_ONCE`` independent networks, and which of them each neuron is of."""
    generator = torch.Generator().manual_seed(seed)
    first, second = (
        torch.randn(AT_ONCE * shape[0], *shape[1:], generator=generator)
        for shape in (case.first, case.second)
    )
    flattenings = sides(method)
    producer = decompose(first, AT_ONCE * case.groups[0], flattenings[0])
    consumer = decompose(second, AT_ONCE * case.groups[1], flattenings[1])
    sent = torch.tensor(case.sent or range(case.first[0]))
    read = torch.tensor(case.read or range(case.second[1] * case.groups[1]))
    copies = torch.arange(AT_ONCE)[:, None]
    link = Link(
        "first",
        "second",
        (copies * case.first[0] + sent).flatten(),
        (copies * case.second[1] * case.groups[1] + read).flatten(),
    )
    adjacency = Adjacency(link, producer, consumer, method)
    return adjacency, consumer.groups // case.groups[1], producer.groups // case.groups[0]


def one_of_each(adjacency, rows, columns, random):
    """A random tested entry of each network: weights, and the indices of their laws."""
    dense, parts = adjacency.dense().numpy(), adjacency.parts()
    for copy in range(AT_ONCE):
        n = np.flatnonzero(rows.numpy() == copy)
        m = np.flatnonzero(columns.numpy() == copy)
        inside = parts[np.ix_(n, m)]
        at = random.choice(np.argwhere(inside >= 0))
        yield float(dense[n[at[0]], m[at[1]]]), int(inside[tuple(at)])


@functools.cache
def entries(name, method):
    """``DRAWS`` independent entries, and the law of each."""
    random = np.random.default_rng(0)
    weights, laws = [], []
    for batch in range(DRAWS // AT_ONCE):
        adjacency, rows, columns = many(CASES[name], method, batch)
        for weight, part in one_of_each(adjacency, rows, columns, random):
            weights.append(weight)
            laws.append(adjacency.laws[part])
    return np.array(weights), laws


def p_values(weights, laws):
    """Under the law of each."""
    found = np.empty(len(weights))
    for law in set(laws):
        mine = np.array([other == law for other in laws])
        found[mine] = np.exp(law.logsf(weights[mine]))
    return found


def rejections(found):
    """How many p-values lie at or below each level, and the p-value of that number."""
    counts = [int((found <= level).sum()) for level in LEVELS]
    return {
        level: (count / len(found), stats.binomtest(count, len(found), level).pvalue)
        for level, count in zip(LEVELS, counts, strict=True)
    }


LINKS = [(name, method) for name in CASES for method in ("svr", "cosvr")]
LINKS += [(name, "cross") for name in ("convolutions", "split", "groups that overlap")]

# All of these tests together refuse right laws with a probability of less than 1e-3.
BOUND = 1e-3 / (len(LEVELS) * len(LINKS))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), LINKS)
def test_levels_are_kept(name, method):
    table = rejections(p_values(*entries(name, method)))
    assert min(p for _, p in table.values()) > BOUND, table


@pytest.mark.parametrize("name", ["plain", "convolutions", "split", "group to group"])
def test_a_wrong_law_is_caught(name):
    weights, laws = entries(name, "svr")
    for wrong in (_with_one_more_channel, _as_in_the_paper):
        table = rejections(p_values(weights, [wrong(law) for law in laws]))
        assert min(p for _, p in table.values()) < BOUND, wrong


def _with_one_more_channel(law):
    (s, p), (z, d) = law.shared, law.kernel
    return NullLaw((s, p), (z, d + z))


def _as_in_the_paper(law):
    return NullLaw(law.shared, law.kernel, "chi2")
