"""The printed pictures of internal dimensions, spectral images and their similarity."""

import numpy as np
import pytest
import torch
from matplotlib.collections import (
    FillBetweenPolyCollection,
    LineCollection,
    PathCollection,
    PolyCollection,
)
from torch import nn

from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.labels import labels_of
from svr_widget.svr import SVR

IMAGES = torch.rand(4, 3, 6, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def svr():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 6, 3, padding=1), nn.ReLU()
    )
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    return SVR(nn.Sequential(*model, *head), IMAGES)


class TestDimensions:
    def test_each_link_has_its_two(self):
        """A block of 3 beyond chance stands out, the random link beside it is pale."""
        torch.manual_seed(0)
        Q, R = (torch.linalg.qr(torch.randn(20, 20))[0] for _ in range(2))
        S = torch.cat([torch.tensor([9.0, 8.0, 7.0]), torch.linspace(1, 0.5, 17)])
        turned = torch.block_diag(torch.eye(3), torch.linalg.qr(torch.randn(17, 17))[0])
        svr = SVR([Q * S @ R.T, R * S @ (Q @ turned).T, torch.randn(12, 20)])
        axes = svr.plot("dimensions").axes[0]
        dots = [dots for dots in axes.collections if isinstance(dots, PathCollection)]
        drawn = {
            (round(x), side, int(y)): points.get_alpha()
            for side, points in zip(("in", "in", "out", "out"), dots, strict=True)
            for x, y in points.get_offsets().data
        }
        found = [svr.internal_dimensions(link) for link in svr.links]
        assert found[0][:2] == (3, 3)
        assert found[0].p_value < 0.05 <= found[1].p_value
        pale = drawn[1, "in", found[1].d_in]
        assert pale == drawn[1, "out", found[1].d_out] < 0.5
        assert drawn[0, "in", 3] == drawn[0, "out", 3] == 1
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0 → 1", "1 → 2"]

    def test_the_neurons_that_there_are(self, svr):
        axes = svr.plot("dimensions").axes[0]
        bars = [bars for bars in axes.collections if isinstance(bars, LineCollection)]
        tops = [[line[1][1] for line in each.get_segments()] for each in bars]
        assert tops == [[5, 6], [6, 4], []]  # producers, consumers, and the legend's

    def test_a_graph_without_links_is_refused(self):
        with pytest.raises(SVRError, match="has no links"):
            SVR([torch.eye(3)]).plot("dimensions")


class TestLinks:
    def test_a_cell_is_what_was_found_beyond_chance(self, svr):
        axes = svr.plot("links", p=0.1).axes[0]
        names = [label.get_text() for label in axes.get_xticklabels()]
        cells = axes.images[0].get_array()
        edges = svr.edges(p=0.1)
        labels = labels_of(svr.maps).of
        for row, consumer in enumerate(names):
            for column, producer in enumerate(names):
                keys = [
                    k for k in svr.links if (labels[k[0]], labels[k[1]]) == (producer, consumer)
                ]
                assert np.ma.is_masked(cells[row, column]) == (not keys)
                if keys:
                    between = (edges.producer == keys[0][0]) & (edges.consumer == keys[0][1])
                    tests = np.prod(svr.adjacency(keys[0]).shape)
                    beyond = max(0, between.sum() - 0.1 * tests)
                    assert cells[row, column] == pytest.approx(beyond, abs=1e-6)

    def test_modules_are_one_row_each(self):
        torch.manual_seed(2)
        weights = {f"{at}.{end}": torch.randn(6, 6) for at in "abc" for end in ("up", "down")}
        svr = SVR(weights, links="chain")
        axes = svr.plot("links", folded=["b"]).axes[0]
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == ["a.up", "a.down", "b", "c.up", "c.down"]
        with pytest.raises(SVRError, match="no module 'd'"):
            svr.plot("links", folded=["d"])

    def test_a_graph_without_links_is_refused(self):
        with pytest.raises(SVRError, match="has no links"):
            SVR([torch.eye(3)]).plot("links")


class TestImages:
    def test_inputs_and_signed_images(self, svr):
        axes = svr.plot("images", "2", inputs=IMAGES[:2], neurons=[1, -1]).axes[0]
        tiles = {tuple(image.get_extent()[0::3]): image.get_array() for image in axes.images}
        Y = svr.spectral_activations(IMAGES[:2])["2"].double()
        assert len(tiles) == 6
        for row in range(2):
            picture = tiles[0, row * 6 / 8]
            low, high = IMAGES[row].min(), IMAGES[row].max()
            expected = (IMAGES[row].movedim(0, -1) - low) / (high - low)
            np.testing.assert_allclose(picture, expected, atol=1e-6)
            for place, neuron in ((1, 1), (2, 5)):
                y = Y[row, neuron].numpy()
                shown = tiles[place, row * 6 / 8]
                assert (np.sign(shown) == np.sign(y)).all()
                np.testing.assert_allclose(
                    np.abs(shown) ** (4 / 3), np.abs(y) / np.abs(y).max(), atol=1e-6
                )
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert labels == ["input", "neuron 1", "last"]

    def test_inputs_that_are_no_pictures_are_left_out(self):
        model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU(), nn.Conv2d(3, 2, 1))
        figure = SVR(model, torch.zeros(1, 2, 4, 4)).plot(
            "images", "0", inputs=torch.ones(1, 2, 4, 4), neurons=[0]
        )
        assert len(figure.axes[0].images) == 1

    @pytest.mark.parametrize(
        ("name", "neurons", "error", "message"),
        [
            ("6", [0], SVRError, "'6' has no spectral images"),
            ("0", [5], SVRError, "has 5 neurons"),
            ("1", [0], SVRError, "no map '1'"),
        ],
    )
    def test_refusals(self, svr, name, neurons, error, message):
        with pytest.raises(error, match=message):
            svr.plot("images", name, inputs=IMAGES, neurons=neurons)


class TestSimilarity:
    def test_means_between_two_standard_errors(self, svr):
        found = svr.similarity(IMAGES)
        axes = svr.plot("similarity", "2", found=found).axes[0]
        rows = found[found["map"] == "2"]
        (line,) = axes.lines
        np.testing.assert_allclose(line.get_xydata(), rows[["neuron", "mean"]])
        (band,) = (each for each in axes.collections if type(each) is FillBetweenPolyCollection)
        corners = band.get_paths()[0].vertices
        for neuron, mean, sd in rows[["neuron", "mean", "sd"]].itertuples(index=False):
            ends = np.unique(np.round(corners[corners[:, 0] == neuron, 1], 6))
            np.testing.assert_allclose(ends, [mean - sd, mean + sd], atol=2e-6)  # 2 / sqrt(4)
        (dot,) = (each for each in axes.collections if type(each) is PathCollection)
        assert dot.get_offsets()[0][0] == rows["neuron"].iloc[rows["mean"].argmax()]

    def test_a_single_input_has_no_band(self, svr):
        axes = svr.plot("similarity", "0", found=svr.similarity(IMAGES[:1])).axes[0]
        heights = axes.lines[0].get_ydata()
        corners = axes.collections[0].get_paths()[0].vertices[:, 1]
        assert set(np.round(corners, 9)) == set(np.round(heights, 9))

    def test_a_map_without_similarity_is_refused(self, svr):
        with pytest.raises(SVRError, match="no similarity of '6' is given"):
            svr.plot("similarity", "6", found=svr.similarity(IMAGES))


class TestByConstruction:
    @pytest.fixture
    def svr(self):
        torch.manual_seed(0)
        weight = torch.randn(9, 6)
        weights = {"in": weight.T.clone(), "out": weight, "next": torch.randn(5, 9)}
        return SVR(weights, links="chain")

    @pytest.mark.parametrize("y_scale", ["linear", "log", "relative", "rank"])
    def test_the_graph_has_one_band(self, svr, y_scale):
        """It reaches from the first to the last neuron of both columns, and is named."""
        figure = svr.plot(y_scale=y_scale)
        axes = figure.axes[0]
        [bands] = [each for each in axes.collections if type(each) is PolyCollection]
        [path] = bands.get_paths()
        assert path.vertices[:, 0].min() == 0
        assert path.vertices[:, 0].max() == 1
        [dots] = [each for each in axes.collections if type(each) is PathCollection]
        first = dots.get_offsets()[dots.get_offsets()[:, 0] == 0][:, 1]
        low, high = path.vertices[:, 1].min(), path.vertices[:, 1].max()
        span = np.ptp(axes.get_ylim()) * 0.06
        assert low <= first.min()
        assert high >= first.max()
        if y_scale != "log":
            assert low > first.min() - span
            assert high < first.max() + span
        assert [each.get_text() for each in axes.texts] == ["tied weights"]
        assert axes.get_title("right").endswith(" · 1 link by construction")

    def test_a_graph_without_has_no_word_of_it(self):
        figure = SVR([torch.randn(6, 9), torch.randn(9, 6)]).plot()
        assert not figure.axes[0].texts
        assert "construction" not in figure.axes[0].get_title("right")

    def test_other_pictures(self, svr):
        with pytest.raises(SVRError, match="by construction"):
            svr.plot("survival", ("in", "out"))
        svr.plot("survival", ("out", "next"))
        found = svr.plot("dimensions").axes[0]
        assert [label.get_text() for label in found.get_xticklabels()] == ["out → next"]
        matrix = svr.plot("adjacency", ("in", "out")).axes[0]
        assert "one tensor at both ends" in matrix.texts[0].get_text()
        alone = SVR([svr.maps[name].weight for name in ("in", "out")])
        with pytest.raises(SVRError, match="no links but those by construction"):
            alone.plot("dimensions")
