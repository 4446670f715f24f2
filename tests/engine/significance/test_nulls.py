"""Null laws against mpmath, against closed forms, and against random unit vectors."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from svr_widget.engine.significance.nulls import NullLaw

DIGITS = 30
# Natural logarithms of p-values: from nearly 1, through 1e-20 and 1e-300, to where p underflows.
LOG_P = [-1e-10, -1e-3, -0.7, -3.0, -46.0, -460.0, -640.0, -690.7, -2000.0]


def beta_log_sf(a: mp.mpf, b: mp.mpf, x: float) -> mp.mpf:
    """Log of ``P(Beta(a, b) >= x)`` by the power series of the smaller tail (DLMF 8.17.8)."""

    def tail(a: mp.mpf, b: mp.mpf, y: mp.mpf) -> mp.mpf:
        term = total = mp.mpf(1)
        n = 0
        while term > total * 1e-20:
            term *= (a + b + n) / (b + 1 + n) * y
            total += term
            n += 1
        return total * mp.exp(b * mp.log(y) + a * mp.log1p(-y)) / b / mp.beta(a, b)

    above = mp.mpf(x) > a / (a + b)
    return mp.log(tail(a, b, 1 - mp.mpf(x)) if above else 1 - tail(b, a, mp.mpf(x)))


def relative(found: float, oracle: mp.mpf) -> float:
    return float(abs((mp.mpf(found) - oracle) / oracle))


ONE_FACTOR = [
    NullLaw((10, 10), (1, 10)),
    NullLaw((40, 40), (1, 40)),
    NullLaw((512, 512), (1, 512)),
    NullLaw((512, 512), (9, 4608)),
    NullLaw((600, 600), (49, 49 * 600)),
    NullLaw((8, 8), (25088, 25088 * 8)),
    NullLaw((3, 512), (9, 9)),
    NullLaw((200, 201), (1, 1)),
]


@pytest.mark.parametrize("law", ONE_FACTOR, ids=repr)
@pytest.mark.parametrize("log_p", LOG_P)
def test_one_factor_agrees_with_mpmath(law: NullLaw, log_p: float) -> None:
    x = min(float(law.isf_log(log_p)), 1 - 2.0**-53)  # a point; the oracle says what p it has
    (part, whole) = law.kernel if law.shared[0] == law.shared[1] else law.shared
    with mp.workdps(DIGITS):
        oracle = beta_log_sf(mp.mpf(part) / 2, mp.mpf(whole - part) / 2, x)
        assert relative(float(law.logsf(x)), oracle) < 1e-9
        if x < 0.99:
            assert relative(log_p, oracle) < 1e-9


@pytest.mark.parametrize(
    "law",
    [
        NullLaw((10, 10), (1, 10), "chi2"),
        NullLaw((512, 512), (9, 4608), "chi2"),
        NullLaw((8, 32), (9, 9 * 64), "chi2"),
        NullLaw((64, 64), (25088, 25088 * 64), "chi2"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("log_p", LOG_P)
def test_chi2_is_the_papers_law(law: NullLaw, log_p: float) -> None:
    a = float(law.isf_log(log_p))
    z = law.kernel[0]
    with mp.workdps(DIGITS):
        mean = mp.mpf(law.shared[0]) / law.shared[1] * law.kernel[0] / law.kernel[1]
        y = mp.mpf(a) * z / mean / 2  # theorem 4.1: a ~ mean / z * chi2(z)
        oracle = mp.log(mp.gammainc(mp.mpf(z) / 2, y, mp.inf, regularized=True))
        assert relative(float(law.logsf(a)), oracle) < 1e-9
        assert relative(log_p, oracle) < 1e-9


@pytest.mark.parametrize(
    ("shared", "kernel"),
    [
        ((1, 2), (1, 2)),
        ((5, 12), (9, 72)),
        ((4, 16), (1, 8)),
        ((30, 31), (3, 40)),
        ((1, 9), (2, 5)),
        ((1, 2), (100, 1000)),  # a broad factor and a narrow one
        ((9, 18), (1, 200)),
    ],
)
@pytest.mark.parametrize("logit", [-7.0, -2.2, 1.0, 7.0])
def test_two_factors_agree_with_mpmath_quadrature(
    shared: tuple[int, int], kernel: tuple[int, int], logit: float
) -> None:
    x = 1 / (1 + np.exp(-logit))
    with mp.workdps(20):
        a1, b1 = mp.mpf(shared[0]) / 2, mp.mpf(shared[1] - shared[0]) / 2
        a2, b2 = mp.mpf(kernel[0]) / 2, mp.mpf(kernel[1] - kernel[0]) / 2
        t = mp.mpf(x)

        def integrand(phi: mp.mpf) -> mp.mpf:
            # u = 1 - (1 - t) cos^2 phi takes the singularities from both ends.
            rest = (1 - t) * mp.cos(phi) ** 2
            u = 1 - rest
            tail = mp.betainc(b2, a2, 0, (u - t) / u, regularized=True)
            width = 2 * (1 - t) * mp.cos(phi) * mp.sin(phi)
            return u ** (a1 - 1) * rest ** (b1 - 1) / mp.beta(a1, b1) * tail * width

        pieces = 32 if max(shared + kernel) > 500 else 8
        ends = [mp.pi / 2 * k / pieces for k in range(pieces + 1)]
        oracle = mp.log(mp.quad(integrand, ends))
    assert relative(float(NullLaw(shared, kernel).logsf(x)), oracle) < 1e-8


@pytest.mark.parametrize(
    ("s", "p", "z"), [(5, 12, 2), (36, 64, 9), (100, 101, 3), (450, 4096, 9), (300, 700, 1)]
)
@pytest.mark.parametrize("log_p", LOG_P)
def test_two_factors_whose_product_is_a_beta(s: int, p: int, z: int, log_p: float) -> None:
    """Beta(s/2, (p-s)/2) * Beta(z/2, (s-z)/2) is Beta(z/2, (p-z)/2)."""
    law = NullLaw((s, p), (z, s))
    x = min(float(NullLaw((p, p), (z, p)).isf_log(log_p)), 1 - 2.0**-53)
    with mp.workdps(DIGITS):
        oracle = beta_log_sf(mp.mpf(z) / 2, mp.mpf(p - z) / 2, x)
        assert relative(float(law.logsf(x)), oracle) < 1e-8


# s shared of p and q channels, y and z kernel positions of producer and consumer: the law that
# engine.md states for each kind of link.
GEOMETRIES = {
    "plain": ((12, 12, 12, 1, 1), NullLaw((12, 12), (1, 12))),
    "convolution": ((6, 6, 6, 1, 9), NullLaw((6, 6), (9, 54))),
    "flattened": ((4, 4, 4, 1, 16), NullLaw((4, 4), (16, 64))),
    "concatenated": ((5, 5, 13, 1, 4), NullLaw((5, 5), (4, 52))),
    "split": ((4, 10, 4, 1, 4), NullLaw((4, 10), (4, 16))),
    "split and concatenated": ((3, 8, 7, 1, 2), NullLaw((3, 8), (2, 14))),
    "group to group": ((2, 4, 6, 1, 3), NullLaw((2, 4), (3, 18))),
    "depthwise consumer": ((1, 9, 1, 1, 9), NullLaw((1, 9), (9, 9))),
    "depthwise both": ((1, 1, 1, 1, 9), NullLaw((1, 1), (9, 9))),
    "co-SVR": ((6, 6, 6, 9, 1), NullLaw((6, 6), (9, 54))),
    "co-SVR concatenated": ((5, 5, 13, 4, 1), NullLaw((5, 13), (4, 20))),
    "co-SVR split": ((4, 10, 4, 4, 1), NullLaw((4, 4), (4, 40))),
    "cross": ((8, 8, 8, 1, 1), NullLaw((8, 8), (1, 8))),
}


def random_entries(geometry: tuple[int, ...], count: int, seed: int) -> np.ndarray:
    """``sum_yz (sum_k u[k, y] v[k, z])^2`` of random unit vectors."""
    s, p, q, y, z = geometry
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal((count, p * y)), rng.standard_normal((count, q * z))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    shared_u, shared_v = u.reshape(count, p, y)[:, :s], v.reshape(count, q, z)[:, :s]
    return np.square(np.einsum("bky,bkz->byz", shared_u, shared_v)).sum(axis=(1, 2))


@pytest.mark.parametrize("kind", GEOMETRIES)
def test_law_of_random_unit_vectors(kind: str) -> None:
    geometry, law = GEOMETRIES[kind]
    s, p, q, _, _ = geometry
    entries = random_entries(geometry, 40_000, seed=7)
    assert law.mean == pytest.approx(s / (p * q))
    if law.constant:
        np.testing.assert_allclose(entries, 1.0)
        np.testing.assert_array_equal(law.logsf(entries), 0.0)
        return
    assert entries.mean() == pytest.approx(law.mean, rel=0.03)
    assert stats.kstest(np.exp(law.logsf(entries)), "uniform").pvalue > 1e-3


def test_the_test_above_can_tell_laws_apart() -> None:
    entries = random_entries(GEOMETRIES["convolution"][0], 40_000, seed=7)
    for wrong in (NullLaw((6, 6), (9, 54), "chi2"), NullLaw((6, 6), (9, 63))):
        assert stats.kstest(np.exp(wrong.logsf(entries)), "uniform").pvalue < 1e-6


def test_chi2_errs_where_there_are_few_channels() -> None:
    exact, chi2 = NullLaw((40, 40), (1, 40)), NullLaw((40, 40), (1, 40), "chi2")
    assert np.exp(exact.logsf(chi2.isf(1e-6))) == pytest.approx(3e-9, rel=0.2)
    assert NullLaw((10, 10), (1, 10), "chi2").isf(1e-6) > 1


def test_both_laws_meet_where_there_are_many_channels() -> None:
    exact, chi2 = (NullLaw((10**6,) * 2, (9, 9 * 10**6), kind) for kind in ("exact", "chi2"))
    assert exact.isf(0.01) == pytest.approx(float(chi2.isf(0.01)), rel=1e-4)


laws = st.builds(
    lambda s, more, z, q, kind: NullLaw((s, s + more), (z, z * q), kind),
    s=st.integers(1, 600),
    more=st.one_of(st.just(0), st.integers(1, 60)),
    z=st.sampled_from([1, 2, 9, 49]),
    q=st.integers(2, 600),
    kind=st.sampled_from(["exact", "chi2"]),
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(law=laws, log_p=st.lists(st.floats(-1400, -1e-9), min_size=1, max_size=8))
def test_isf_inverts_logsf(law: NullLaw, log_p: list[float]) -> None:
    target = np.sort(log_p)
    weight = law.isf_log(target)
    assert (np.diff(weight[np.isfinite(weight)]) <= 0).all()
    # Next to 1 a double cannot resolve the entry well enough to show that p.
    resolved = weight < 0.999 if law.kind == "exact" else np.isfinite(weight)
    np.testing.assert_allclose(law.logsf(weight[resolved]), target[resolved], rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(law=laws, entries=st.lists(st.floats(-0.125, 1.125, width=32), min_size=2, max_size=20))
def test_p_values_fall_as_entries_grow(law: NullLaw, entries: list[float]) -> None:
    log_p = law.logsf(np.sort(np.array(entries)))
    assert np.isfinite(log_p).all()
    assert (log_p <= 0).all()
    assert (np.diff(log_p) <= 1e-12 * np.abs(log_p[1:])).all()


@pytest.mark.parametrize("law", [ONE_FACTOR[0], NullLaw((3, 7), (9, 36))], ids=repr)
def test_ends_of_the_support(law: NullLaw) -> None:
    np.testing.assert_array_equal(law.logsf([-1e-7, 0.0]), 0.0)
    largest = law.logsf(np.nextafter(1.0, 0.0))
    assert np.isfinite(largest)
    np.testing.assert_array_equal(law.logsf([1.0, 1 + 1e-5]), largest)
    np.testing.assert_array_equal(law.isf([1.0]), 0.0)
    assert law.isf_log(2 * largest) == np.inf  # no entry has so small a p-value


def test_constant_law() -> None:
    for kind in ("exact", "chi2"):
        law = NullLaw((4, 4), (9, 9), kind)
        assert law.constant
        assert law.mean == 1
        np.testing.assert_array_equal(law.logsf([0.999999, 1.0, 1.000001]), 0.0)
        np.testing.assert_array_equal(law.isf([1.0, 0.999]), [0.0, np.inf])


def test_shapes_units_and_dtypes() -> None:
    law = NullLaw((16, 16), (9, 144))
    entries = np.full((2, 3), 0.3, dtype=np.float32)
    assert law.logsf(entries).shape == (2, 3)
    assert law.logsf(0.3).shape == ()
    assert law.isf(np.array(0.1)).shape == ()
    assert law.logsf(entries).dtype == np.float64
    np.testing.assert_allclose(10 ** law.log10_p(0.1), np.exp(law.logsf(0.1)))


def test_laws_are_values() -> None:
    assert len({NullLaw((4, 4), (9, 36)), NullLaw((4, 4), (9, 36))}) == 1
    assert NullLaw((4, 4), (9, 36)) != NullLaw((4, 4), (9, 36), "chi2")


@pytest.mark.parametrize(
    ("shared", "kernel", "kind", "named"),
    [
        ((5, 4), (1, 4), "exact", "shared"),
        ((0, 4), (1, 4), "exact", "shared"),
        ((4, 4), (9, 4), "exact", "kernel"),
        ((4, 4), (1, 4), "normal", "normal"),
    ],
)
def test_impossible_laws(shared, kernel, kind, named) -> None:
    with pytest.raises(ValueError, match=named):
        NullLaw(shared, kernel, kind)


def test_impossible_p_values() -> None:
    law = NullLaw((4, 4), (1, 4))
    for wrong in (0.1, np.nan):
        with pytest.raises(ValueError, match="<= 0"):
            law.isf_log(wrong)
