"""Adjacencies against sums written out from the paper's formulas, in float64."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.nn import functional

from svr_widget.engine.decompose import decompose
from svr_widget.engine.errors import SVRError, WidthMismatchError
from svr_widget.engine.graph.adjacency import Adjacency
from tests.engine.support.adjacency_cases import CASES, between, case, every, link_of
from tests.engine.support.dense import whole
from tests.engine.support.gaussian import gaussian


def filters_by_sums(adjacency):
    """sum_k u[k, y, m] v[k, z, n] entry by entry: ``[n, m, y * z]``."""
    U = whole(adjacency.producer.U, adjacency.producer).numpy()
    V = whole(adjacency.consumer.V, adjacency.consumer).numpy()
    sent = adjacency.link.producer_channels.numpy()
    read = adjacency.link.consumer_channels.numpy()
    shared_U = U[sent]
    shared_V = V[read] if read.ndim == 1 else V[read, 0]
    n_count, m_count = adjacency.shape
    result = np.zeros((n_count, m_count, shared_U.shape[1] * shared_V.shape[1]))
    for n, m in itertools.product(range(n_count), range(m_count)):
        for place, (y, z) in enumerate(
            itertools.product(range(shared_U.shape[1]), range(shared_V.shape[1]))
        ):
            result[n, m, place] = sum(
                shared_U[k, y, m] * shared_V[k, z, n] for k in range(len(shared_U))
            )
    return result


class TestEntries:
    @pytest.mark.parametrize("method", ["svr", "cosvr", "cross"])
    @pytest.mark.parametrize("name", CASES)
    def test_against_sums(self, name, method):
        if name == "flat features" and method != "svr":
            with pytest.raises(SVRError, match="flattens channels of different"):
                case(name, method)
            return
        adjacency = case(name, method)
        filters = filters_by_sums(adjacency)
        dense = adjacency.dense()
        assert dense.dtype == torch.float32
        np.testing.assert_allclose(dense, (filters**2).sum(axis=2), rtol=0, atol=1e-6)
        assert dense.max() <= 1 + 1e-5
        ours = adjacency.effective_filters()
        assert ours.shape == (*adjacency.shape, *adjacency.kernel)
        np.testing.assert_allclose(ours.reshape(filters.shape), filters, rtol=0, atol=1e-6)
        if filters.shape[2] == 1:
            np.testing.assert_allclose(adjacency.signed() ** 2, dense, rtol=0, atol=1e-6)
        else:
            with pytest.raises(SVRError, match=r"has a kernel .* effective_filters\(rows, cols\)"):
                adjacency.signed()

    def test_chosen_filters(self):
        adjacency = case("groups shuffled")
        filters = adjacency.effective_filters()
        assert torch.equal(adjacency.effective_filters([2, 0], 1), filters[[2, 0]][:, [1]])
        assert torch.equal(adjacency.effective_filters(cols=slice(1, 3)), filters[:, 1:3])
        with pytest.raises(IndexError):
            adjacency.effective_filters(99)

    def test_effective_filters_are_the_composition_of_the_layers(self):
        first, second = gaussian(4, 3, 3, 3, seed=3).double(), gaussian(5, 4, 2, 3, seed=4).double()
        adjacency = between(first, second)
        image = gaussian(1, 1, 7, 8, seed=5).double()
        for m, n in itertools.product(range(4), range(5)):
            emitted = adjacency.producer.U[:, m].view(1, 4, 1, 1) * image
            read = functional.conv2d(emitted, adjacency.consumer.V[..., n][None])
            effective = adjacency.effective_filters(n, m)
            torch.testing.assert_close(functional.conv2d(image, effective), read)

    def test_two_linear_maps_compose_to_the_sum_over_edges(self):
        first, second = gaussian(6, 9, seed=6).double(), gaussian(4, 6, seed=7).double()
        adjacency = between(first, second)
        producer, consumer = adjacency.producer, adjacency.consumer
        total = sum(
            consumer.S[n]
            * producer.S[m]
            * adjacency.signed()[n, m]
            * torch.outer(consumer.U[:, n], producer.V[:, m])
            for n in range(4)
            for m in range(6)
        )
        torch.testing.assert_close(total, second @ first)

    def test_planted_frames_have_the_prescribed_edges(self):
        random = np.random.default_rng(8)
        frames = [np.linalg.qr(random.standard_normal((8, 8)))[0] for _ in range(4)]
        rotation = np.kron(np.eye(4), [[0.8, -0.6], [0.6, 0.8]])
        first = frames[0] * np.arange(8, 0, -1) @ frames[1].T
        second = frames[2] * np.arange(16, 0, -2) @ (frames[0] @ rotation).T
        dense = between(torch.from_numpy(first), torch.from_numpy(second)).dense()
        assert dense.dtype == torch.float64
        np.testing.assert_allclose(dense, rotation.T**2, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("groups", [(1, 1), (2, 3), (6, 1), (1, 6)])
    @pytest.mark.parametrize("kernel", [(), (3,), (2, 3)])
    def test_cosvr_is_the_svr_of_the_reversed_network(self, kernel, groups):
        first = gaussian(6, 12 // groups[0], *kernel, seed=9)
        second = gaussian(12, 6 // groups[1], *kernel, seed=10)

        def turned(weight, count):
            by_group = weight.unflatten(0, (count, -1)).transpose(1, 2).flatten(0, 1)
            return by_group.flip(tuple(range(2, weight.ndim)))

        forward = between(first, second, method="cosvr", groups=groups)
        turned_round = turned(second, groups[1]), turned(first, groups[0])
        backward = between(*turned_round, groups=groups[::-1])
        torch.testing.assert_close(forward.dense(), backward.dense().T)

    def test_half_of_the_kernel_in_float64_makes_all_of_it(self):
        adjacency = between(gaussian(3, 4), gaussian(5, 3, 2, dtype=torch.float64))
        assert adjacency.dense().dtype == torch.float64


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.tuples(*[st.integers(1, 5)] * 3),
    st.tuples(*[st.sampled_from([(), (1,), (3,), (2, 2)])] * 2),
    st.integers(0, 4),
    st.tuples(*[st.sampled_from([torch.float32, torch.float64])] * 2),
    st.sampled_from([None, 1, 3]),
    st.sampled_from(["svr", "cosvr", "cross"]),
    st.integers(0, 2**32 - 1),
)
def test_any_link(widths, kernels, flaws, dtypes, rank, method, seed):
    """Shapes, ranks, precisions, zero and duplicate rows, one-neuron maps: sums and tests."""
    random = np.random.default_rng(seed)
    inputs, channels, outputs = widths
    weights = [
        random.standard_normal((channels, inputs, *kernels[0])),
        random.standard_normal((outputs, channels, *kernels[1])),
    ]
    for _ in range(flaws):
        weight = weights[random.integers(2)]
        row = random.integers(len(weight))
        weight[row] = random.choice([0.0, 1e-13, 1.0]) * weight[random.integers(len(weight))]
        weight[:, random.integers(weight.shape[1])] *= random.choice([0.0, 1.0])
    first, second = (torch.from_numpy(w).to(d) for w, d in zip(weights, dtypes, strict=True))
    sides = {"svr": ("svr", "svr"), "cosvr": ("cosvr", "cosvr"), "cross": ("svr", "cosvr")}[method]
    producer = decompose(first, method=sides[0], rank=rank)
    consumer = decompose(second, method=sides[1], rank=rank)
    adjacency = Adjacency(link_of(every(channels)), producer, consumer, method)
    dense = adjacency.dense().double().numpy()
    by_sums = (filters_by_sums(adjacency) ** 2).sum(axis=2)
    both_double = dtypes[0] == dtypes[1] == torch.float64
    np.testing.assert_allclose(dense, by_sums, rtol=0, atol=1e-12 if both_double else 2e-6)
    assert dense.max() <= 1 + 1e-5
    tested = adjacency.parts() == 0
    alive = np.outer(~consumer.null.numpy(), ~producer.null.numpy())
    np.testing.assert_array_equal(tested, alive)
    (tests,) = adjacency.tests()
    np.testing.assert_array_equal(tests.weights, np.sort(adjacency.dense().numpy()[alive]))
    log_p = adjacency.logsf(dense)
    assert np.isfinite(log_p).all()
    assert (log_p <= 0).all()
    edges = adjacency.edges(p=0.3)
    expected = np.argwhere(alive & (log_p <= math.log(0.3)))
    assert sorted(zip(edges.n, edges.m, strict=True)) == sorted(map(tuple, expected))


class TestStructure:
    def test_entropy_counts_nothing_for_zeros(self):
        adjacency = case("groups shuffled")
        entries = adjacency.dense().double().flatten().tolist()
        by_hand = -sum(a * math.log(a) for a in entries if a > 0)
        assert adjacency.entropy() == pytest.approx(by_hand)

    @pytest.mark.parametrize("name", ["convolution", "grouped"])
    def test_intensity(self, name):
        adjacency = case(name)
        dense, mean = (
            adjacency.dense().double().numpy(),
            np.broadcast_to(adjacency.mean(), adjacency.shape),
        )
        for j, value in enumerate(adjacency.intensity()):
            running, best = 0.0, 0.0
            for i in range(adjacency.shape[0]):
                running += dense[i, j] - mean[i, j]
                best = max(best, running)
            assert value == pytest.approx(best)

    @pytest.mark.parametrize("name", ["linear", "groups shuffled"])
    def test_internal_dimensions(self, name):
        adjacency = case(name)
        dense = adjacency.dense().double().numpy()
        mean = np.broadcast_to(adjacency.mean(), adjacency.shape)
        deviation = {
            (i + 1, j + 1): float((dense - mean)[: i + 1, : j + 1].sum())
            for i, j in np.ndindex(adjacency.shape)
        }
        found = adjacency.internal_dimensions()
        best = max(deviation, key=lambda place: deviation[place])
        assert (found.d_out, found.d_in) == best
        assert found.deviation == pytest.approx(deviation[best])

    def test_a_planted_block_is_found(self):
        random = np.random.default_rng(13)
        frames = [np.linalg.qr(random.standard_normal((40, 40)))[0] for _ in range(3)]
        rotation = np.eye(40)
        for block in (slice(0, 8), slice(8, 40)):
            size = block.stop - block.start
            rotation[block, block] = np.linalg.qr(random.standard_normal((size, size)))[0]
        values = np.linspace(4, 1, 40)
        first = torch.from_numpy(frames[0] * values @ frames[1].T)
        second = torch.from_numpy(frames[2] * values @ (frames[0] @ rotation).T)
        found = between(first, second).internal_dimensions()
        assert (found.d_out, found.d_in) == (8, 8)
        assert found.p_value < 0.01


class TestRefusals:
    def test_wrong_flattening(self):
        producer, consumer = decompose(gaussian(3, 4)), decompose(gaussian(5, 3))
        with pytest.raises(SVRError, match="'cross' joins svr and cosvr decompositions, got svr a"):
            Adjacency(link_of(every(3)), producer, consumer, "cross")
        with pytest.raises(SVRError, match=r"method must be one of .*'cross', got 'cros'"):
            Adjacency(link_of(every(3)), producer, consumer, "cros")

    def test_channels_that_do_not_exist(self):
        with pytest.raises(WidthMismatchError, match="channels 0 to 3 of 'second', which has 3"):
            between(gaussian(4, 4), gaussian(5, 3))

    def test_truncation_keeps_the_widths_of_groups(self):
        first, second = gaussian(6, 2, seed=14), gaussian(4, 6, seed=15)
        producer, consumer = decompose(first, 3, rank=1), decompose(second)
        adjacency = Adjacency(link_of(every(6)), producer, consumer)
        np.testing.assert_allclose(
            adjacency.dense(), (filters_by_sums(adjacency) ** 2).sum(axis=2), rtol=0, atol=1e-6
        )
        assert repr(adjacency) == "Adjacency(link 'first' -> 'second', svr, 4 x 1)"


class TestRepeatedChannels:
    """Every channel travels twice, as values do that two attention heads share."""

    SENT = every(6).repeat_interleave(2)

    def between(self, seed):
        first, second = gaussian(6, 9, seed=2 * seed), gaussian(8, 12, seed=2 * seed + 1)
        return between(first, second, link_of(self.SENT, every(12)))

    def test_against_sums(self):
        adjacency = self.between(0)
        dense = adjacency.dense().numpy()
        u, v = adjacency.producer.U.double(), adjacency.consumer.V.double()
        for n, m in itertools.product(range(8), range(6)):
            inner = sum(float(u[k // 2, m] * v[k, n]) for k in range(12))
            assert dense[n, m] == pytest.approx(inner**2 / 2, abs=1e-6)

    def test_an_entry_reaches_one_and_no_more(self):
        first = gaussian(6, 9)
        second = decompose(first).U[self.SENT].T.contiguous()
        dense = between(first, second, link_of(self.SENT, every(12))).dense()
        assert float(dense.max()) <= 1 + 1e-5
        assert float(dense.sum(0).min()) == pytest.approx(1, abs=1e-5)

    def test_gaussian_weights_follow_their_law(self):
        parts = [self.between(seed) for seed in range(300)]
        entries = np.concatenate([np.ravel(a.dense().numpy()[:1, :1]) for a in parts])
        law = parts[0].law
        assert stats.kstest(entries, lambda a: -np.expm1(law.logsf(a))).pvalue > 1e-3
        assert parts[0].mean() == pytest.approx(1 / 12)

    def test_unequal_repetition_is_refused(self):
        sent = torch.tensor([0, 0, 1, 2, 3, 4, 5])
        with pytest.raises(SVRError, match="some channels of 'first' more often"):
            between(gaussian(6, 9), gaussian(8, 7), link_of(sent, every(7)))
