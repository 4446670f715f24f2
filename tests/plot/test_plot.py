"""The printed pictures: what they draw, read back from the artists and from the pixels."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import nn

from svr_widget.engine.errors import SVRError, ThresholdError
from svr_widget.plot import DARK, LIGHT
from svr_widget.plot.columns import scale_of
from svr_widget.svr import SVR


@pytest.fixture(scope="module")
def svr():
    torch.manual_seed(0)
    return SVR(
        nn.Sequential(
            nn.Conv2d(3, 12, 3),
            nn.ReLU(),
            nn.Conv2d(12, 12, 3, groups=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(12 * 16, 10),
            nn.ReLU(),
            nn.Linear(10, 5),
        ),
        torch.zeros(1, 3, 8, 8),
    )


IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def needed(svr, what):
    """What a picture cannot be drawn without."""
    if what == "similarity":
        return {"found": svr.similarity(IMAGES)}
    return {"inputs": IMAGES} if what == "images" else {}


def of_type(figure, kind):
    every = figure.axes[0].collections
    return next(each for each in every if type(each) is kind and each.get_gid() is None)


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


class TestGraph:
    @pytest.mark.parametrize("y_scale", ["linear", "log", "relative", "rank"])
    def test_neurons_stand_at_their_singular_values(self, svr, y_scale):
        dots = of_type(svr.plot(y_scale=y_scale, p=0.1), PathCollection)
        neurons = svr.neurons()
        largest = neurons.groupby("map")["singular_value"].transform("max")
        count = neurons.groupby("map")["k"].transform("max")
        expected = {
            "linear": neurons["singular_value"],
            "log": neurons["singular_value"],
            "relative": neurons["singular_value"] / largest,
            "rank": 1 - neurons["k"] / count,
        }[y_scale]
        column = neurons["map"].map({"0": 0, "2": 1, "5": 2, "7": 3})
        drawn = sorted(map(tuple, np.round(dots.get_offsets().data, 9)))
        assert drawn == sorted(zip(column, np.round(expected, 9), strict=True))

    def test_colours_run_from_neutral_to_the_hue_of_the_kind(self, svr):
        figure = svr.plot(p=0.1)
        dots = of_type(figure, PathCollection)
        neurons = svr.neurons()[::-1].reset_index(drop=True)
        for row, colour in zip(neurons.itertuples(), dots.get_facecolors(), strict=True):
            low = np.array(to_rgb(LIGHT.neutral))
            kind = "linear" if row.map == "7" else "convolution"
            high = np.array(to_rgb(LIGHT.hue(kind)))
            expected = low + row.intensity * (high - low)
            np.testing.assert_allclose(colour[:3], expected, atol=1e-9)
        assert LIGHT.hue("transposed convolution") == LIGHT.hue("convolution")

    def test_edges_join_what_they_join_strongest_on_top(self, svr):
        lines = of_type(svr.plot(p=0.1), LineCollection)
        edges = svr.edges(p=0.1)
        S, column = {name: svr[name].S for name in svr.maps}, {"0": 0, "2": 1, "5": 2, "7": 3}
        expected = {
            (
                column[row.producer],
                float(S[row.producer][row.m]),
                column[row.consumer],
                float(S[row.consumer][row.n]),
            ): row.weight
            for row in edges.itertuples()
        }
        drawn = [tuple(segment.ravel().tolist()) for segment in lines.get_segments()]
        rounded = {tuple(np.round(key, 9)): weight for key, weight in expected.items()}
        assert {tuple(np.round(each, 9)) for each in drawn} == set(rounded)
        opacity = lines.get_colors()[:, 3]
        assert (np.diff(opacity) >= 0).all()
        strongest = rounded[tuple(np.round(drawn[-1], 9))]
        assert strongest == edges["weight"].max()

    def test_a_budget_keeps_the_smallest_p_values_and_says_so(self, svr):
        figure = svr.plot(p=0.2, max_edges=7)
        assert len(of_type(figure, LineCollection).get_segments()) == 7
        total = len(svr.edges(p=0.2))
        assert (
            figure.axes[0]
            .get_title(loc="right")
            .startswith(f"7 strongest of {total} edges at p = 0.2")
        )

    def test_many_edges_become_pixels_in_a_pdf(self, svr, monkeypatch):
        from svr_widget.plot import edges

        assert not of_type(svr.plot(p=0.2), LineCollection).get_rasterized()
        monkeypatch.setattr(edges, "MANY", 5)
        assert of_type(svr.plot(p=0.2), LineCollection).get_rasterized()

    def test_links_over_columns_onto_themselves_and_back(self):
        weights = {
            name: torch.randn(6, 6, generator=torch.Generator().manual_seed(k))
            for k, name in enumerate("abc")
        }
        svr = SVR(weights, links=[("a", "b"), ("b", "c"), ("a", "c"), ("b", "b"), ("c", "a")])
        lines = of_type(svr.plot(p=0.5), LineCollection)
        courses = {len(segment) for segment in lines.get_segments()}
        assert courses == {2, 21}
        dashed = sum(style[1] is not None for style in lines.get_linestyle())
        edges = svr.edges(p=0.5)
        backward = ((edges["producer"] == "c") | (edges["consumer"] == edges["producer"])).sum()
        assert dashed == backward > 0
        heights = np.concatenate([segment[:, 1] for segment in lines.get_segments()])
        low, high = svr.plot(p=0.5).axes[0].get_ylim()
        assert low - 0.2 * (high - low) < heights.min() < heights.max() < high + 0.1 * (high - low)

    def test_without_significant_edges_neurons_alone_are_drawn(self, svr):
        figure = svr.plot(bonferroni=1e-12)
        assert len(of_type(figure, LineCollection).get_segments()) == 0
        assert "0 edges" in figure.axes[0].get_title(loc="right")
        SVR([torch.zeros(2, 2)]).plot(y_scale="log")

    def test_names_never_overlap(self):
        names = {f"encoder.layer.{k}.output": torch.eye(3) for k in range(14)}
        figure = SVR(names).plot()
        figure.canvas.draw()
        labels = figure.axes[0].get_xticklabels()
        assert {label.get_rotation() for label in labels} == {45}
        short = SVR({"a": torch.eye(3), "b": torch.eye(3)}, links="chain").plot()
        assert {label.get_rotation() for label in short.axes[0].get_xticklabels()} == {0}

    def test_a_cross_graph_has_both_columns(self):
        weights = [torch.randn(6, 4, 3), torch.randn(5, 6, 3), torch.randn(4, 5, 3)]
        labels = SVR(weights, method="cross").plot().axes[0].get_xticklabels()
        assert [label.get_text() for label in labels] == [
            "Conv 1\n6",
            "Conv 2~\n6",
            "Conv 2\n5",
            "Conv 3\n5",
        ]


class TestMatrices:
    def test_an_adjacency_and_its_cross(self, svr):
        figure = svr.plot("adjacency", ("5", "7"))
        axes = figure.axes[0]
        expected = svr.adjacency(("5", "7")).dense()
        np.testing.assert_allclose(axes.images[0].get_array(), expected, rtol=1e-6)
        d_out, d_in, _, p_value, _ = svr.internal_dimensions(("5", "7"))
        cross = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines]
        assert bool(cross) == (p_value < 0.05)
        if cross:
            assert cross == [(d_in - 0.5, 0), (0, d_out - 0.5)]

    def test_a_block_has_a_cross_and_its_words(self):
        rng = np.random.default_rng(0)
        Q, _ = np.linalg.qr(rng.standard_normal((30, 30)))
        first = Q @ np.diag(np.linspace(2, 1, 30))
        turned = np.eye(30)
        for part in (slice(0, 8), slice(8, 30)):
            size = part.stop - part.start
            turned[part, part] = np.linalg.qr(rng.standard_normal((size, size)))[0]
        second = np.diag(np.linspace(2, 1, 30)) @ (Q @ turned).T
        axes = SVR([first, second]).plot("adjacency", ("0", "1")).axes[0]
        assert [line.get_xdata()[0] for line in axes.lines] == [7.5, 0]
        assert "internal dimensions 8 × 8 · p < 0.001" in [text.get_text() for text in axes.texts]

    def test_the_cross_matrix_and_the_rules_of_its_near_kernels(self):
        rng = np.random.default_rng(1)
        scales = np.diag(np.repeat([1.0, 1e-4, 1e-8], [4, 3, 3]))
        weights = [scales @ rng.standard_normal((10, 12)), rng.standard_normal((9, 10))]
        svr = SVR(weights)
        axes = svr.plot("cross", ("0", "1")).axes[0]
        expected = svr.adjacency(("0", "1"), "cross").signed().abs()
        np.testing.assert_allclose(axes.images[0].get_array(), expected, rtol=1e-6)
        assert [line.get_xdata()[0] for line in axes.lines] == [3.5, 6.5]

    @pytest.mark.parametrize("method", ["svr", "cosvr"])
    def test_output_representations_of_a_grouped_map_by_channel(self, svr, method):
        neurons = svr.decomposition("2", method)
        shown = svr.plot("output", "2", method=method).axes[0].images[0].get_array()
        assert shown.shape == (12, len(neurons))
        for k, group in enumerate(neurons.groups.tolist()):
            mine = neurons.U[..., k].reshape(6, -1).norm(dim=1)
            np.testing.assert_allclose(shown[6 * group : 6 * group + 6, k], mine, rtol=1e-5)
            assert shown[:, k].sum() == pytest.approx(float(mine.sum()), rel=1e-5)

    def test_channels_sorted_by_block(self):
        scales = np.array([1.0, 1e-5, 1.0, 1e-5])
        weight = scales[:, None] * np.eye(4) * np.array([[1], [2], [3], [4.0]])
        shown = SVR([weight]).plot("output", "0", sort=True).axes[0].images[0].get_array()
        np.testing.assert_allclose(
            shown, [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], atol=1e-6
        )

    def test_a_large_matrix_is_pooled_and_keeps_its_largest_entry(self, monkeypatch):
        from svr_widget.plot import matrices

        monkeypatch.setattr(matrices, "_PIXELS", 8)
        svr = SVR([torch.randn(19, 30), torch.randn(21, 19)])
        axes = svr.plot("adjacency", ("0", "1")).axes[0]
        dense = svr.adjacency(("0", "1")).dense()
        assert axes.images[0].get_array().shape == (7, 7)
        assert axes.images[0].get_array().max() == pytest.approx(float(dense.max()))
        assert (axes.get_xlim(), axes.get_ylim()) == ((-0.5, 18.5), (18.5, -0.5))


class TestSurvival:
    def test_curves(self, svr):
        axes = svr.plot("survival", ("5", "7"), p=0.05).axes[0]
        curves = {line.get_label(): line.get_xydata() for line in axes.lines}
        entries = np.sort(svr.adjacency(("5", "7")).dense().numpy().ravel())
        drawn = curves["entries"]
        np.testing.assert_allclose(np.unique(drawn[:, 0]), np.unique(entries))
        for weight, share in drawn[::7]:
            at_least = (entries >= weight).mean()
            above = (entries > weight).mean()
            assert above - 1e-12 <= share <= at_least + 1e-12
        law = svr.adjacency(("5", "7")).law
        exact = curves["chance, exact law"]
        np.testing.assert_allclose(exact[:, 1], np.exp(law.logsf(exact[:, 0])), rtol=1e-9)

    def test_a_random_link_follows_the_exact_law(self):
        """The Kolmogorov distance of the two curves that are drawn is that of chance."""
        generator = torch.Generator().manual_seed(0)
        weights = [
            torch.randn(60, 80, generator=generator),
            torch.randn(70, 60, generator=generator),
        ]
        axes = SVR(weights).plot("survival", ("0", "1")).axes[0]
        curves = {line.get_label(): line.get_xydata() for line in axes.lines}
        entries, exact = curves["entries"], curves["chance, exact law"]
        law = np.interp(entries[:, 0], *exact.T)
        assert np.abs(law - entries[:, 1]).max() < 2 / np.sqrt(60 * 60)

    def test_several_laws_are_mixed(self, svr):
        """A grouped producer: entries of its two groups."""
        axes = svr.plot("survival", ("0", "2")).axes[0]
        assert len(axes.lines) >= 3

    def test_a_link_of_null_neurons(self):
        with pytest.raises(SVRError, match="0 → 1 has no entry to test"):
            SVR([torch.zeros(3, 3), torch.eye(3)]).plot("survival", ("0", "1"))


class TestAnyPicture:
    PICTURES = (
        ("graph", None),
        ("adjacency", ("0", "2")),
        ("cross", ("0", "2")),
        ("output", "2"),
        ("survival", ("5", "7")),
        ("dimensions", None),
        ("links", None),
        ("images", "0"),
        ("similarity", "2"),
    )

    @pytest.mark.parametrize(("what", "of"), PICTURES)
    @pytest.mark.parametrize("theme", ["light", DARK])
    def test_it_is_drawn_on_the_themes_paper_with_its_ink(self, svr, what, of, theme):
        figure = svr.plot(what, of, theme=theme, size=(3, 2.5), **needed(svr, what))
        image = pixels(figure)
        paper = LIGHT.paper if theme == "light" else DARK.paper
        expected = np.round(255 * np.array(to_rgb(paper)))
        assert (np.abs(image.reshape(-1, 3) - expected).max(axis=1) <= 2).mean() > 0.3
        distance = np.abs(image.astype(float) - expected).max()
        assert distance > 150, "nothing but paper"

    @pytest.mark.parametrize(("what", "of"), PICTURES)
    def test_into_axes_of_the_caller(self, svr, what, of):
        figure = Figure()
        left, right = figure.subplots(1, 2)
        assert svr.plot(what, of, ax=right, **needed(svr, what)) is figure
        assert not left.has_data()
        assert right.has_data()
        figure.savefig("/dev/null", format="png")

    @pytest.mark.parametrize(("what", "of"), PICTURES)
    def test_it_can_be_written(self, svr, what, of, tmp_path):
        for kind in ("pdf", "svg"):
            figure = svr.plot(what, of, size=(3, 2.5), **needed(svr, what))
            figure.savefig(tmp_path / f"picture.{kind}")
            assert (tmp_path / f"picture.{kind}").stat().st_size > 1000

    def test_names_are_no_formulas(self):
        """A dollar in a name is drawn as it is, and breaks nothing."""
        svr = SVR({r"$\bad$": torch.eye(4), "$b$": torch.eye(4)}, links="chain")
        figure = svr.plot()
        figure.canvas.draw()
        labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
        assert labels == ["$\\bad$\n4", "$b$\n4"]
        assert not any(label.get_parse_math() for label in figure.axes[0].get_xticklabels())
        pixels(svr.plot("adjacency", (r"$\bad$", "$b$")))
        pixels(svr.plot("output", r"$\bad$"))

    def test_notebooks_show_it(self, svr):
        assert svr.plot()._repr_png_().startswith(b"\x89PNG")

    @pytest.mark.slow
    def test_nothing_global_is_touched(self):
        """Neither pyplot nor the settings; and the engine alone does not load matplotlib."""
        script = """
import sys, torch
from svr_widget import SVR
svr = SVR([torch.eye(4), torch.eye(4)])
assert "matplotlib" not in sys.modules
import matplotlib as mpl
before = repr(list(dict.items(mpl.rcParams)))  # reading the backend would load pyplot
link = "0", "1"
for what, of in (("graph", None), ("adjacency", link), ("output", "0"), ("survival", link)):
    svr.plot(what, of).savefig("/dev/null", format="png")
assert repr(list(dict.items(mpl.rcParams))) == before
assert "matplotlib.pyplot" not in sys.modules
"""
        subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)

    @pytest.mark.parametrize(
        ("call", "error", "message"),
        [
            (lambda svr: svr.plot("grph"), SVRError, "did you mean 'graph'"),
            (
                lambda svr: svr.plot("adjacency"),
                SVRError,
                "a picture of a key of links, got of=None",
            ),
            (lambda svr: svr.plot("graph", "0"), SVRError, "a picture of nothing, got of='0'"),
            (lambda svr: svr.plot("adjacency", ("0", "9")), KeyError, "no link"),
            (lambda svr: svr.plot("survival", ("0", "9")), KeyError, "no link"),
            (lambda svr: svr.plot("output", "9"), KeyError, "no map '9'"),
            (lambda svr: svr.plot(theme="drak"), SVRError, "did you mean 'dark'"),
            (lambda svr: svr.plot(y_scale="lin"), SVRError, "y_scale must be one of"),
            (lambda svr: svr.plot(max_edges=0), SVRError, "max_edges = 0"),
            (lambda svr: svr.plot(p=3), ThresholdError, "out of range"),
            (lambda svr: svr.plot(thme="dark"), TypeError, "thme"),
            (lambda svr: svr.plot("output", "2", srt=True), TypeError, "srt"),
        ],
    )
    def test_refusals(self, svr, call, error, message):
        with pytest.raises(error, match=message):
            call(svr)


class TestScale:
    def test_auto_is_linear_unless_a_kind_would_be_squashed(self):
        small, large = torch.eye(4) * 0.1, torch.eye(4)
        like = SVR({"a": small, "b": large}, links="chain")
        assert scale_of(like) == "linear"
        assert scale_of(SVR({"a": small, "b": large[..., None, None]}, links=[])) == "log"
        tiny = torch.diag(torch.tensor([0.1, 0.1, 0.1, 1e-9]))
        assert scale_of(SVR({"a": tiny, "b": large[..., None, None]}, links=[])) != "linear"

    def test_gates_are_kinds_of_their_own(self):
        lstm = torch.nn.LSTM(6, 6, bias=False)
        with torch.no_grad():
            for weight in (lstm.weight_ih_l0, lstm.weight_hh_l0):
                weight[:6] *= 20
        svr = SVR(lstm, torch.zeros(3, 1, 6))
        assert scale_of(svr) == "log"
        assert svr.plot(y_scale="auto").axes[0].get_yscale() == "log"


def test_by_chance_a_random_network_is_grey_and_a_planted_direction_is_not():
    generator = torch.Generator().manual_seed(2)
    first, second = (torch.randn(40, 40, generator=generator) for _ in range(2))

    def shades(*weights):
        figure = SVR(list(weights)).plot(colour="chance")
        dots = of_type(figure, PathCollection)
        return dots.get_facecolor()[40:, :3][::-1]  # the last map's are drawn first

    grey, hue = np.array(to_rgb(LIGHT.neutral)), np.array(to_rgb(LIGHT.hue("linear")))
    assert abs(shades(first, second) - grey).max() < 0.5 * abs(hue - grey).max()
    direction = torch.nn.functional.normalize(torch.ones(40), dim=0)
    planted = shades(
        first + 60 * torch.outer(direction, first[0]) / 6,
        second + 60 * torch.outer(second[0], direction) / 6,
    )
    np.testing.assert_allclose(planted[0], hue, atol=1e-6)
    with pytest.raises(SVRError, match="colour must be"):
        SVR([first, second]).plot(colour="hue")
