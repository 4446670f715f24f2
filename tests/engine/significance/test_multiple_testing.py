"""Thresholds against brute force over all p-values, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from svr_widget.engine.errors import ThresholdError
from svr_widget.engine.significance.multiple_testing import (
    MODES,
    Cuts,
    LinkTests,
    Significance,
    check_level,
    exceeds_chance,
)
from svr_widget.engine.significance.nulls import LOG_10, NullLaw
from svr_widget.engine.significance.stops import lay_out

LAWS = [
    NullLaw((40, 40), (1, 40)),
    NullLaw((64, 64), (9, 576)),
    NullLaw((8, 24), (9, 144)),
    NullLaw((1, 32), (9, 9)),
    NullLaw((40, 40), (1, 40), "chi2"),
]


def graph(seed: int, sizes=(300, 500, 200, 0, 400), signal=0.05, dtype=np.float32, laws=LAWS):
    """Links of random entries, some of them strong, with ties and entries of 0 and 1."""
    rng = np.random.default_rng(seed)
    tests = {}
    for key, (law, size) in enumerate(zip(laws, sizes, strict=True)):
        weights = law.isf(rng.uniform(1e-12, 1, size))
        strong = rng.random(size) < signal
        weights[strong] = rng.uniform(0, 1, strong.sum())
        if size:
            weights[rng.integers(0, size, size // 10)] = weights[rng.integers(0, size, size // 10)]
            weights[:2] = 0.0, 1.0
        tests[f"link {key}"] = LinkTests(law, np.sort(weights.astype(dtype)))
    return Significance(tests)


def log_p_values(tests: Significance) -> dict:
    return {key: part.law.logsf(part.weights) for key, part in tests.tests.items()}


def check_counts(tests: Significance, cut, log_cut_of) -> None:
    """A cut's counts and weights are those of comparing every p-value with it."""
    total = 0
    for key, log_p in log_p_values(tests).items():
        significant = log_p <= log_cut_of(key)
        total += significant.sum()
        assert cut.counts[key] == significant.sum()
        np.testing.assert_array_equal(tests.tests[key].weights >= cut.weight[key], significant)
        assert cut.log10_p[key] == pytest.approx(log_cut_of(key) / LOG_10, rel=1e-13)
    assert cut.significant == total
    assert cut.tests == tests.total


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("level", [1e-300, 1e-30, 1e-6, 0.001, 0.15, 0.5, 0.999999, 1.0])
def test_level_of_each_test(dtype, level: float) -> None:
    tests = graph(1, dtype=dtype)
    cut = tests.cut(p=level)
    check_counts(tests, cut, lambda key: np.log(level))
    assert cut.expected == pytest.approx(level * tests.total)
    assert (cut.mode, cut.level) == ("p", level)


@pytest.mark.parametrize("sigma", [37.0, 5.0, 3.0, 1.0364333894937898, 0.0, -1.0, -37.0])
def test_sigma(sigma: float) -> None:
    tests = graph(2)
    cut = tests.cut(sigma=sigma)
    check_counts(tests, cut, lambda key: stats.norm.logsf(sigma))
    assert cut.expected == pytest.approx(stats.norm.sf(sigma) * tests.total)


def test_the_papers_level() -> None:
    """p = 0.15 shows 15% of random edges (section 3.1)."""
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.standard_normal((200, 200)))[0] for _ in "uv")
    law = NullLaw((200, 200), (1, 200))
    tests = Significance({"random": LinkTests(law, np.sort(np.square(v.T @ u).ravel()))})
    assert tests.cut(p=0.15).significant == pytest.approx(0.15 * 200**2, rel=0.03)


@pytest.mark.parametrize("scope", ["graph", "link"])
@pytest.mark.parametrize("alpha", [1e-12, 0.05, 1.0])
def test_bonferroni(scope, alpha: float) -> None:
    tests = graph(3)
    cut = tests.cut(bonferroni=alpha, scope=scope)
    sizes = {key: part.weights.size for key, part in tests.tests.items()}
    family = dict.fromkeys(sizes, tests.total) if scope == "graph" else sizes
    check_counts(tests, cut, lambda key: np.log(alpha / max(family[key], 1)))
    families = 1 if scope == "graph" else sum(size > 0 for size in sizes.values())
    assert cut.expected == pytest.approx(alpha * families)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("signal", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("method", ["bh", "by"])
@pytest.mark.parametrize("q", [1e-9, 0.01, 0.05, 0.5, 0.999])
def test_false_discovery_rate_over_the_graph(seed: int, signal: float, method, q: float) -> None:
    tests = graph(seed, signal=signal)
    cut = tests.cut(fdr=q, fdr_method=method)
    log_p = log_p_values(tests)
    adjusted = stats.false_discovery_control(
        np.exp(np.concatenate(list(log_p.values()))), method=method
    )
    starts = np.cumsum([0, *(values.size for values in log_p.values())])
    for key, first, last in zip(log_p, starts[:-1], starts[1:], strict=True):
        assert cut.counts[key] == (adjusted[first:last] <= q).sum()
    check_counts(tests, cut, lambda key: cut.log10_p[key] * LOG_10 * (1 - 1e-15))
    assert cut.expected == pytest.approx(q * cut.significant)
    correction = 1 if method == "bh" else (1 / np.arange(1, tests.total + 1)).sum()
    reached = q * max(cut.significant, 1) / tests.total / correction
    assert cut.log10_p["link 0"] == pytest.approx(np.log10(reached))


@pytest.mark.parametrize("method", ["bh", "by"])
def test_false_discovery_rate_of_each_link(method) -> None:
    tests = graph(5)
    cut = tests.cut(fdr=0.1, fdr_method=method, scope="link")
    for key, log_p in log_p_values(tests).items():
        if log_p.size:
            adjusted = stats.false_discovery_control(np.exp(log_p), method=method)
            assert cut.counts[key] == (adjusted <= 0.1).sum()
    assert cut.expected == pytest.approx(0.1 * cut.significant)


def test_a_link_with_several_laws_is_one_family() -> None:
    parts = graph(6).tests
    keyed = {("a", 0): parts["link 0"], ("b", 0): parts["link 4"], ("a", 1): parts["link 2"]}
    cut = Significance(keyed, link_of=lambda key: key[0]).cut(fdr=0.05, scope="link")
    together = np.exp(
        np.concatenate([keyed[k].law.logsf(keyed[k].weights) for k in (("a", 0), ("a", 1))])
    )
    adjusted = stats.false_discovery_control(together)
    assert cut.counts["a", 0] + cut.counts["a", 1] == (adjusted <= 0.05).sum()
    assert cut.log10_p["a", 0] == cut.log10_p["a", 1] != cut.log10_p["b", 0]
    assert list(cut.counts) == list(keyed)


def test_default_scope_of_keys_is_the_key() -> None:
    tests = graph(6)
    for key, part in tests.tests.items():
        alone = Significance({key: part}).cut(fdr=0.05)
        assert tests.cut(fdr=0.05, scope="link").counts[key] == alone.counts[key]


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_entries_exactly_at_the_cut(law: NullLaw, dtype) -> None:
    """Cuts at the p-values of entries themselves, of their neighbours, and between."""
    middle = law.isf(np.geomspace(1e-40, 0.9, 40)).astype(dtype)
    step = max(1e-12, np.finfo(dtype).eps)
    weights = np.sort(
        np.concatenate(
            # Neighbours: the next float32, or as near as the digits of a p-value tell apart.
            [middle, middle, middle * (1 - step), middle * (1 + step), [0, 1]]
        ).astype(dtype)
    )
    tests = LinkTests(law, weights)
    log_p = law.logsf(weights)
    cuts = np.concatenate([log_p, np.nextafter(log_p, -np.inf), np.nextafter(log_p, 0.0)])
    cuts = np.append(cuts[cuts <= 0], -np.inf)
    expected = (log_p <= cuts[:, None]).sum(axis=1)
    np.testing.assert_array_equal(tests.count(Cuts.of(law, cuts, tests.weights.dtype)), expected)


def test_constant_entries_are_never_significant() -> None:
    tests = Significance({0: LinkTests(NullLaw((1, 1), (9, 9)), np.ones(5, np.float32))})
    assert tests.cut(p=0.9999).significant == 0
    assert tests.cut(p=1.0).significant == 5
    assert tests.cut(fdr=0.99).significant == 0


def test_nothing_to_test() -> None:
    for tests in (Significance({}), Significance({0: LinkTests(LAWS[0], np.zeros(0))})):
        for mode in MODES:
            cut = tests.cut(**{mode: 0.05})
            assert (cut.significant, cut.tests, cut.expected) == (0, 0, 0)
            assert np.isfinite(list(cut.log10_p.values())).all()
            assert lay_out(tests, mode).significant.sum() == 0


@pytest.mark.parametrize(
    ("mode", "wrong"),
    [
        *[("p", w) for w in (0.0, -0.1, 1.0001, np.nan, np.inf, "0.05", None)],
        *[("fdr", w) for w in (0.0, 1.0, -1.0, np.nan)],
        *[("bonferroni", w) for w in (0.0, 1.5, np.nan)],
        *[("sigma", w) for w in (38.0, -38.0, np.inf, np.nan)],
        ("treshold", 0.05),
    ],
)
def test_levels_out_of_range(mode: str, wrong) -> None:
    with pytest.raises(ThresholdError, match=mode):
        check_level(mode, wrong)
    if mode in MODES and wrong is not None:
        with pytest.raises(ThresholdError, match=mode):
            graph(0).cut(**{mode: wrong})


def test_exactly_one_level() -> None:
    tests = graph(0)
    for levels in ({}, {"p": 0.05, "fdr": 0.05}):
        with pytest.raises(ThresholdError, match="exactly one"):
            tests.cut(**levels)
    for option in ({"fdr_method": "holm"}, {"scope": "layer"}):
        with pytest.raises(ThresholdError, match=next(iter(option.values()))):
            tests.cut(fdr=0.05, **option)


@pytest.mark.parametrize("weights", [[0.2, 0.1], [0.1, np.nan], [[0.1]]])
def test_weights_must_be_sorted(weights) -> None:
    with pytest.raises(ValueError, match="ascending"):
        LinkTests(LAWS[0], np.array(weights))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    signal=st.sampled_from([0.0, 0.01, 0.3]),
    levels=st.lists(st.floats(1e-8, 0.99), min_size=2, max_size=6),
)
def test_looser_levels_keep_what_stricter_ones_found(seed, signal, levels) -> None:
    tests = graph(seed, sizes=(60, 80, 0, 30, 50), signal=signal)
    cuts = {mode: [tests.cut(**{mode: x}) for x in sorted(levels)] for mode in MODES}
    for mode, found in cuts.items():
        counts = [list(cut.counts.values()) for cut in (found[::-1] if mode == "sigma" else found)]
        assert (np.diff(counts, axis=0) >= 0).all()
    for level, bh, bonferroni in zip(sorted(levels), cuts["fdr"], cuts["bonferroni"], strict=True):
        by = tests.cut(fdr=level, fdr_method="by")
        assert bonferroni.significant <= bh.significant
        assert by.significant <= bh.significant
    reordered = Significance(dict(reversed(tests.tests.items())))
    assert reordered.cut(fdr=levels[0]).counts == tests.cut(fdr=levels[0]).counts


@pytest.mark.slow
def test_the_false_discovery_rate_holds_on_random_frames() -> None:
    """c = 20, entries dependent as in a real adjacency: P(anything significant) is at most q."""
    rng = np.random.default_rng(11)
    law = NullLaw((20, 20), (1, 20))
    false_alarms = 0
    for _ in range(600):
        u, v = (np.linalg.qr(rng.standard_normal((20, 20)))[0] for _ in "uv")
        entries = np.sort(np.square(v.T @ u).ravel())
        false_alarms += Significance({0: LinkTests(law, entries)}).cut(fdr=0.1).significant > 0
    # 0.1 +- 4 standard errors; far below would mean lost power.
    assert 0.05 < false_alarms / 600 < 0.15


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("level", [0.001, 0.05, 0.3])
def test_a_change_of_mode_keeps_the_cut(mode, level: float) -> None:
    tests = graph(8)
    before = tests.cut(**{mode: level})
    log_p = before.log10_p["link 0"] * LOG_10
    for to in MODES:
        converted = tests.convert(mode, level, to)
        check_level(to, converted)
        inside = to != "bonferroni" or log_p + np.log(tests.total) <= 0
        # A cut that no false discovery rate has, since a looser one has a lower rate.
        reached = to != "fdr" or tests.cut(fdr=converted).significant == before.significant
        if inside and reached:
            after = tests.cut(**{to: converted})
            assert after.log10_p["link 0"] * LOG_10 == pytest.approx(log_p, rel=1e-9, abs=1e-12)
            assert after.counts == before.counts
        if not inside:
            assert converted == 1
        if not reached:
            assert tests.cut(fdr=converted).significant > before.significant


def test_conversions_by_hand() -> None:
    tests = graph(9)
    assert tests.convert("p", 0.15, "sigma") == pytest.approx(stats.norm.isf(0.15))
    assert tests.convert("sigma", 3, "p") == pytest.approx(stats.norm.sf(3))
    assert tests.convert("fdr", 0.05, "fdr") == 0.05
    found = tests.cut(p=1e-4).significant
    assert tests.convert("p", 1e-4, "fdr") == pytest.approx(1e-4 * tests.total / found)
    assert tests.convert("p", 1e-9, "bonferroni") == pytest.approx(1e-9 * tests.total)
    assert tests.convert("p", 1e-305, "sigma") == 37
    assert tests.convert("p", 1.0, "fdr") < 1
    with pytest.raises(ThresholdError, match="p = 2"):
        tests.convert("p", 2, "fdr")
    with pytest.raises(ThresholdError, match="sigma"):
        tests.convert("p", 0.5, "sigm")


@pytest.mark.parametrize("signal", [0.0, 0.05])
@pytest.mark.parametrize("mode", MODES)
def test_stops_are_cuts(mode, signal: float) -> None:
    tests = graph(10, signal=signal)
    stops = lay_out(tests, mode)
    assert stops.significant.shape == stops.level.shape
    for k in range(0, stops.level.size, 7):
        cut = tests.cut(**{mode: float(stops.level[k])})
        assert stops.significant[k] == cut.significant
        assert stops.log10_p[k] == pytest.approx(cut.log10_p["link 0"], rel=1e-12)
        assert stops.expected[k] == pytest.approx(cut.expected)


@pytest.mark.parametrize("signal", [0.0, 0.05])
@pytest.mark.parametrize("mode", MODES)
def test_stops_make_a_useful_slider(mode, signal: float) -> None:
    tests = graph(12, sizes=(3000, 5000, 2000, 0, 4000), signal=signal)
    stops = lay_out(tests, mode)
    total = stops.significant
    assert 150 <= stops.level.size <= 500
    assert (np.diff(stops.log10_p) > 0).all()  # strict to loose
    assert (np.diff(stops.level) < 0).all() if mode == "sigma" else (np.diff(stops.level) > 0).all()
    ends = {"fdr": 0.5, "p": 0.5, "bonferroni": 1.0, "sigma": 0.0}
    assert stops.level[-1] == ends[mode]
    standard = [1.0, 2.0, 3.0, 5.0] if mode == "sigma" else [0.05, 0.01, 0.1, 0.15, 1e-3]
    assert set(standard) <= set(stops.level.tolist())
    # The strict end leaves entries of 1 at most (p = 0 for all a double can say), and between two
    # stops the picture does not jump.
    certain = sum((part.weights > 0.999).sum() for part in tests.tests.values())
    assert total[0] <= certain + 60
    assert (np.diff(total) <= np.maximum(5, 0.15 * total[1:])).all()
    if mode in ("p", "sigma") or signal:
        assert len(set(total.tolist())) > 60


@pytest.mark.parametrize("p", [0.01, 0.15])
def test_chance_alone_is_no_more_than_chance(p: float) -> None:
    found = [graph(seed, signal=0.0) for seed in range(40)]
    by_chance = [each.cut(p=p).beyond_chance for each in found]
    assert np.mean(by_chance) < 0.15
    assert all(graph(seed, signal=0.2).cut(p=p).beyond_chance for seed in range(5))


@pytest.mark.parametrize("expected", [30.0, 400.0, 39_234.0])
def test_what_exceeds_chance_is_rare_by_the_law_of_counts(expected: float) -> None:
    least = next(
        found
        for found in range(int(expected), int(2 * expected))
        if exceeds_chance("p", found, expected)
    )
    assert stats.poisson.sf(least - 1, expected) == pytest.approx(0.0228, abs=0.012)
    assert not exceeds_chance("sigma", 0, 0.0)
    assert exceeds_chance("fdr", 1, 0.5)
    assert not exceeds_chance("bonferroni", 0, 0.05)
