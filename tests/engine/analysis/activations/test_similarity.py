"""Similarity of spectral images to a reference, against each image by itself in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from svr_widget.engine.analysis.activations.similarity import Moments, cosines, sobel
from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR


def images(count=5, channels=3, h=12, w=16, seed=0):
    return torch.randn(count, channels, h, w, generator=torch.Generator().manual_seed(seed))


def vgg(channels=3):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 5, 3, padding=1, stride=(1, 2)),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(5 * 6 * 4, 7),
    )


def scipy_sobel(image, size):
    """By the paper's footnotes, in float64: pool, make grey, filter twice, take the magnitude."""
    image = image.double().numpy()
    _, h, w = image.shape
    pooled = image.reshape(len(image), size[0], h // size[0], size[1], w // size[1]).mean((2, 4))
    grey = pooled[0] if len(pooled) == 1 else np.tensordot((0.299, 0.587, 0.114), pooled, 1)
    return np.hypot(scipy.ndimage.sobel(grey, 0), scipy.ndimage.sobel(grey, 1))


def scipy_spectral_image(read, neuron, stride):
    """One neuron's image of a 3 x 3 convolution with zero padding 1, in float64."""
    padded = np.pad(read.double().numpy(), ((0, 0), (1, 1), (1, 1)))
    found = sum(
        scipy.signal.correlate2d(channel, kernel, mode="valid")
        for channel, kernel in zip(padded, neuron.double().numpy(), strict=True)
    )
    return found[:: stride[0], :: stride[1]]


def cosine(a, b):
    return float(np.sum(np.abs(a) * b) / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("channels", [1, 3])
def test_by_brute_force(channels):
    model, inputs = vgg(channels), images(channels=channels)
    svr = SVR(model, inputs)
    loader = DataLoader(TensorDataset(inputs, torch.arange(5)), batch_size=2)
    table = svr.similarity(loader)
    assert list(table) == ["map", "neuron", "mean", "sd", "n"]
    expected = []
    with torch.no_grad():
        second = model[:3](inputs)
    for name, read, stride, size in (
        ("0", inputs, (1, 1), (12, 16)),
        ("3", second, (1, 2), (6, 4)),
    ):
        V = svr[name].V
        for k in range(len(svr[name])):
            found = [
                cosine(
                    scipy_spectral_image(read[i], V[..., k], stride), scipy_sobel(inputs[i], size)
                )
                for i in range(5)
            ]
            expected.append((name, k, np.mean(found), np.std(found, ddof=1), 5))
    assert [tuple(row[:2]) for row in table.itertuples(index=False)] == [e[:2] for e in expected]
    np.testing.assert_allclose(table["mean"], [e[2] for e in expected], rtol=1e-5)
    np.testing.assert_allclose(table["sd"], [e[3] for e in expected], rtol=1e-4)
    assert set(table["n"]) == {5}
    assert table.attrs["left_out"] == {
        "6": "its activations are no two-dimensional images",
    }


@pytest.mark.parametrize("size", [(12, 16), (6, 8), (3, 4), (2, 2)])
def test_sobel_by_scipy(size):
    inputs = images(channels=3)
    found = sobel(inputs, size)
    wanted = np.stack([scipy_sobel(image, size) for image in inputs])
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_sobel_of_a_flat_image_is_zero_up_to_its_border():
    assert not sobel(torch.full((1, 1, 8, 8), 3.0), (4, 4)).any()


def test_an_edge_detector_is_found():
    """A filter that is itself a derivative is closer to the Sobel filter than a mean."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, bias=False))
    derivative = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    with torch.no_grad():
        model[0].weight[0] = 2 * derivative
        model[0].weight[1] = torch.full((3, 3), 0.1)
    band = torch.zeros(1, 1, 16, 16)
    band[..., 6:10] = 1
    table = SVR(model, band).similarity(band)
    assert table["mean"][0] > 0.9  # the map pads with zeros, the reference repeats the border
    assert table["mean"][1] < 0.6


def test_images_of_zero_norm_count_as_dissimilar():
    shown = torch.zeros(2, 1, 4, 4)
    shown[1] = images(1, 1, 4, 4)[0]
    found = cosines(shown, torch.ones(2, 4, 4))
    assert found[0] == 0
    assert 0 < found[1] < 1
    assert not cosines(images(2, 3, 4, 4), torch.zeros(2, 4, 4)).any()
    table = SVR(vgg(), images()).similarity(torch.zeros(2, 3, 12, 16))
    assert (table["mean"][:6] == 0).all()
    assert (table["sd"][:6] == 0).all()


def test_a_single_image_has_no_standard_deviation():
    table = SVR(vgg(), images()).similarity(images(1))
    assert table["sd"].isna().all()
    assert not table["mean"].isna().any()
    assert set(table["n"]) == {1}


class TestReference:
    def test_the_callers_own(self):
        inputs, sizes = images(), []

        def brightness(given, size):
            assert torch.equal(given, inputs)
            sizes.append(size)
            return nn.functional.adaptive_avg_pool2d(given.mean(1, keepdim=True), size)[:, 0].abs()

        svr = SVR(vgg(), inputs)
        table = svr.similarity(inputs, brightness, maps="3", neurons=[0, -1])
        assert list(table["neuron"]) == [0, 4]
        assert sizes == [(6, 4)]
        y = svr.spectral_activations(inputs, "3", [0, -1])["3"].double().abs()
        wanted = inputs.mean(1).double().reshape(5, 6, 2, 4, 4).mean((2, 4)).abs()
        every = [[cosine(y[i, m].numpy(), wanted[i].numpy()) for i in range(5)] for m in range(2)]
        np.testing.assert_allclose(table["mean"], np.mean(every, axis=1), rtol=1e-5)

    def test_one_reference_a_size_and_batch(self):
        calls = []

        def flat(given, size):
            calls.append(size)
            return torch.ones(len(given), *size)

        model = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(4)))
        SVR(model, images()).similarity([images(2), images(3)], flat)
        assert calls == [(12, 16)] * 2

    @pytest.mark.parametrize(
        ("reference", "message"),
        [
            ("sobol", r'reference must be "sobel" or a function.*did you mean \'sobel\''),
            (lambda given, size: given, r"reference gave \(5, 3, 12, 16\); it must give"),
            (lambda given, size: torch.ones(5, 3, 3), r"must give \[batch, 12, 16\]"),
        ],
    )
    def test_bad_references(self, reference, message):
        with pytest.raises(SVRError, match=message):
            SVR(vgg(), images()).similarity(images(), reference)

    def test_inputs_that_are_no_images(self):
        model = nn.Sequential(nn.Conv2d(4, 3, 3))
        with pytest.raises(SVRError, match=r"\(2, 4, 8, 8\).*Sobel filter takes.*reference="):
            SVR(model, torch.randn(1, 4, 8, 8)).similarity(torch.randn(2, 4, 8, 8))


class TestLeftOut:
    def test_maps_without_images(self):
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Flatten()
        )
        table = SVR(model, images()).similarity(images())
        assert set(table["map"]) == {"0"}
        assert table.attrs["left_out"] == {"2": "its images have 1 x 1 pixels"}

    def test_asked_for_by_name_is_refused(self):
        with pytest.raises(SVRError, match=r"map '6' cannot be compared: .*two-dimensional"):
            SVR(vgg(), images()).similarity(images(), maps=["0", "6"])

    def test_no_map_at_all(self):
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 16, 2))
        with pytest.raises(SVRError, match=r"no map has spectral images to compare \('1': its"):
            SVR(model, images()).similarity(images())
        with pytest.raises(SVRError, match=r"to compare \(no batch\)"):
            SVR(vgg(), images()).similarity([])

    def test_a_map_without_images_is_not_decomposed(self):
        svr = SVR(vgg(), images())
        svr.similarity(images())
        assert ("6", "svr") not in svr._decompositions

    def test_windows_are_no_batch(self):
        class Windows(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.inner = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3)

            def forward(self, x):
                x = self.conv(x)
                return self.inner(torch.cat([x[..., :8], x[..., 8:]]))

        table = SVR(Windows(), images()).similarity(images())
        assert set(table["map"]) == {"conv"}
        assert table.attrs["left_out"]["inner"].endswith("10 images for 5 inputs")


def test_channels_last_linears_have_images():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(3, 4)

        def forward(self, x):
            return self.inner(x.movedim(1, -1))

    table = SVR(Last(), images()).similarity(images())
    assert list(table["map"]) == ["inner"] * 3


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=5),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 1e9]),
)
def test_moments_of_a_stream(batches, seed, offset):
    random = np.random.default_rng(seed)
    values = [offset + random.standard_normal((count, 3)) for count in batches]
    moments = Moments()
    for batch in values:
        moments.add(torch.from_numpy(batch))
    every = np.concatenate(values)
    assert moments.n == len(every)
    if len(every):
        np.testing.assert_allclose(moments.mean, every.mean(0), rtol=1e-12)
    if len(every) > 1:
        exact = [
            math.sqrt(
                math.fsum((x - math.fsum(column) / len(column)) ** 2 for x in column)
                / (len(column) - 1)
            )
            for column in every.T
        ]
        np.testing.assert_allclose(moments.sd, exact, rtol=1e-6 if offset else 1e-10, atol=1e-12)
