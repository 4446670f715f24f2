"""What the pane of spectral images shows, against the engine and by hand."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from svr_widget import SVR
from svr_widget.engine.errors import SVRError
from svr_widget.widget.answers.images import pack, spectral_images
from svr_widget.widget.answers.shown_inputs import ShownInputs
from svr_widget.widget.wire.codec import decode, encode


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 5, 3, stride=2),
        nn.Flatten(),
        nn.Linear(5 * 3 * 5, 6),
    )


@pytest.fixture
def images():
    return torch.rand(4, 3, 8, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def svr(images):
    return SVR(network(), images)


class TestSpectralImages:
    def test_images_and_bars(self, svr, images):
        shown = spectral_images(
            svr, ShownInputs(images, svr.model), [2, 0], {"0": [0, -1], "2": [1], "4": None}
        )
        wanted = svr.spectral_activations(images[[2, 0]])
        assert list(shown.maps) == ["0", "2", "4"]
        assert [m.kind for m in shown.maps.values()] == ["image", "image", "bar"]
        assert [m.neurons for m in shown.maps.values()] == [[0, 3], [1], [0, 1, 2, 3, 4, 5]]
        assert [m.positions for m in shown.maps.values()] == [(8, 12), (3, 5), ()]
        for name, image in shown.maps.items():
            assert image.values.dtype == image.scale.dtype == np.float32
            np.testing.assert_allclose(
                image.values, wanted[name][:, image.neurons], rtol=1e-5, atol=1e-6
            )
            for i, k in np.ndindex(image.scale.shape):
                assert image.scale[i, k] == np.abs(image.values[i, k]).max()
        assert shown.left_out == {}

    def test_in_a_cross_graph_each_column_is_filtered_by_its_own_side(self, images):
        torch.manual_seed(2)
        convolutions = (nn.Conv2d(a, b, 3, padding=1) for a, b in ((3, 4), (4, 5), (5, 6)))
        svr = SVR(nn.Sequential(*convolutions), images, method="cross")
        assert list(svr.columns) == ["0", "1~", "1", "2"]
        chosen = {"0": [0], "1~": [1, 0], "1": [2], "2": None}
        shown = spectral_images(svr, ShownInputs(images, svr.model), [3, 1], chosen)
        assert shown.left_out == {}
        assert set(shown.maps) == set(chosen)
        for name, (of, side) in svr.columns.items():
            wanted = svr.spectral_activations(images[[3, 1]], maps=of, method=side)[of]
            image = shown.maps[name]
            assert image.values.shape[1] == len(image.neurons)
            np.testing.assert_allclose(image.values, wanted[:, image.neurons], rtol=1e-5, atol=1e-6)
        assert not np.allclose(shown.maps["1~"].values[:, 0], shown.maps["1"].values[:, 0])

    def test_the_cosine_is_that_of_the_engine(self, svr, images):
        shown = spectral_images(svr, ShownInputs(images, svr.model), [0, 1, 2, 3], {"2": None})
        table = svr.similarity(images, maps="2")
        np.testing.assert_allclose(shown.maps["2"].cosine.mean(0), table["mean"], rtol=1e-5)

    def test_large_images_are_pooled_and_keep_their_sign_and_proportions(self):
        model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False))
        svr = SVR(model, torch.zeros(1, 1, 40, 20))
        inputs = torch.randn(1, 1, 40, 20)
        image = spectral_images(svr, ShownInputs(inputs, model), [0], {"0": [0]}, most=10).maps["0"]
        assert image.positions == (40, 20)
        whole = svr.spectral_activations(inputs)["0"][:, :1]
        wanted = whole.reshape(1, 1, 10, 4, 5, 4).mean((3, 5))
        np.testing.assert_allclose(image.values, wanted, rtol=1e-5, atol=1e-6)
        assert image.values.min() < 0 < image.values.max()

    def test_lines_and_what_is_left_out(self):
        class Odd(nn.Module):
            def __init__(self):
                super().__init__()
                self.line, self.volume = nn.Conv1d(2, 3, 3), nn.Conv3d(2, 3, 1)
                self.halves, self.unused = nn.Linear(8, 3), nn.Linear(8, 3)

            def forward(self, x):
                self.volume(x[..., None, None])
                y = self.line(x)
                return self.halves(torch.cat([x, x])), y

        model, inputs = Odd(), torch.randn(3, 2, 8)
        svr = SVR(model, inputs)
        wanted = {name: [0] for name in svr.maps}
        shown = spectral_images(svr, ShownInputs(inputs, model), [0, 1], wanted)
        assert {name: image.kind for name, image in shown.maps.items()} == {"line": "line"}
        assert shown.maps["line"].values.shape == (2, 1, 6)
        assert shown.maps["line"].cosine is None
        assert set(shown.left_out) == {"volume", "halves", "unused"}
        assert "4 for 2" in shown.left_out["halves"]

    def test_one_pixel_is_a_bar(self):
        model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 2, 1))
        inputs = torch.rand(2, 3, 5, 5)
        shown = spectral_images(
            SVR(model, inputs), ShownInputs(inputs, model), [0, 1], {"1": None}
        ).maps["1"]
        assert (shown.kind, shown.values.shape, shown.positions) == ("bar", (2, 2), ())

    def test_inputs_that_the_sobel_filter_does_not_take(self):
        model, inputs = nn.Sequential(nn.Conv2d(2, 3, 3)), torch.randn(1, 2, 6, 6)
        shown = spectral_images(
            SVR(model, inputs), ShownInputs(inputs, model), [0], {"0": None}
        ).maps["0"]
        assert shown.kind == "image"
        assert shown.cosine is None

    def test_unknown_neurons(self, svr, images):
        with pytest.raises(SVRError, match=r"map '0' has 4 neurons"):
            spectral_images(svr, ShownInputs(images, svr.model), [0], {"0": [9]})

    def test_it_travels(self, svr, images):
        inputs = ShownInputs(images, svr.model, labels="abcd")
        shown = spectral_images(svr, inputs, [1, 3], {"0": [0], "4": None})
        meta, arrays = decode(encode(*pack(shown, inputs, [1, 3])))
        assert meta["inputs"] == [
            {"number": 1, "label": "b", "thumbnail": True},
            {"number": 3, "label": "d", "thumbnail": True},
        ]
        assert meta["maps"][0] == {
            "name": "0", "kind": "image", "neurons": [0], "positions": [8, 12], "cosine": True
        }  # fmt: skip
        assert not meta["maps"][1]["cosine"]
        assert np.array_equal(arrays["values_1"], shown.maps["4"].values)
        assert np.array_equal(arrays["cosine_0"], shown.maps["0"].cosine)
        assert np.array_equal(arrays["thumbnail_1"], inputs.thumbnail(3))
        assert set(arrays) == {
            "thumbnail_0", "thumbnail_1", "values_0", "scale_0", "cosine_0", "values_1", "scale_1"
        }  # fmt: skip


class TestShownInputs:
    model = nn.Sequential(nn.Conv2d(3, 2, 1))

    def test_a_tensor(self, images):
        inputs = ShownInputs(images, self.model)
        assert len(inputs) == 4
        assert [inputs.label(i) for i in range(4)] == ["0", "1", "2", "3"]
        assert torch.equal(inputs.batch([3, 1]), images[[3, 1]])
        wanted = (images[2] * 255).round().to(torch.uint8).movedim(0, -1).numpy()
        assert np.array_equal(inputs.thumbnail(2), wanted)

    def test_pictures_with_a_transform(self):
        random = np.random.default_rng(0)
        arrays = [random.integers(0, 256, (6, 9, 3), np.uint8) for _ in range(3)]
        pictures = [PIL.Image.fromarray(array) for array in arrays]

        def transform(picture):
            return torch.from_numpy(np.array(picture)).movedim(-1, 0) / 255 * 2 - 1

        for given in (pictures, arrays):
            inputs = ShownInputs(given, self.model, transform)
            assert torch.equal(
                inputs.batch([2, 0]), torch.stack([transform(arrays[2]), transform(arrays[0])])
            )
            assert np.array_equal(inputs.thumbnail(1), arrays[1])

    def test_a_list_of_tensors(self, images):
        inputs = ShownInputs(list(images), self.model)
        assert torch.equal(inputs.batch([1, 2]), images[1:3])
        assert inputs.thumbnail(0).shape == (8, 12, 3)

    def test_the_first_batch_of_a_loader_with_its_labels(self, images):
        loader = DataLoader(TensorDataset(images, torch.tensor([7, 8, 9, 7])), batch_size=3)
        inputs = ShownInputs(loader, self.model)
        assert [inputs.label(i) for i in range(len(inputs))] == ["7", "8", "9"]
        (batch,) = inputs.batch([2])
        assert torch.equal(batch, images[2:3])
        inputs = ShownInputs(loader, self.model, labels=["x", "y", "z"])
        assert inputs.label(0) == "x"

    def test_several_arguments(self, images):
        inputs = ShownInputs({"image": images, "scale": 2.0, "mask": np.eye(4)}, self.model)
        batch = inputs.batch([1])
        assert torch.equal(batch["image"], images[1:2])
        assert batch["scale"] == 2.0
        assert torch.equal(batch["mask"], torch.eye(4, dtype=torch.float64)[1:2])
        assert inputs.thumbnail(1).shape == (8, 12, 3)

    @pytest.mark.parametrize(
        ("piece", "wanted"),
        [
            (torch.tensor([[[-1.0, 0.0, 3.0]]]), [[0, 64, 255]]),  # stretched over its range
            (torch.tensor([[0.0, 0.5, 1.0]]), [[0, 128, 255]]),
            (torch.tensor([[[0, 7, 255]]], dtype=torch.uint8), [[0, 7, 255]]),
            (torch.tensor([[[False, True]]]), [[0, 255]]),
            (torch.full((1, 1, 2), -3.0), [[0, 0]]),
        ],
    )
    def test_grey_thumbnails(self, piece, wanted):
        thumbnail = ShownInputs(piece[None], self.model).thumbnail(0)
        assert thumbnail.dtype == np.uint8
        assert np.array_equal(thumbnail, np.stack([np.array(wanted)] * 3, -1))

    def test_large_thumbnails_are_small(self):
        thumbnail = ShownInputs(torch.rand(1, 3, 512, 256), self.model).thumbnail(0)
        assert thumbnail.shape == (128, 64, 3)
        assert thumbnail.flags.c_contiguous

    @pytest.mark.parametrize(
        "inputs", [torch.randn(2, 5), torch.randn(2, 7, 4, 4), torch.arange(3)]
    )
    def test_what_is_no_image_has_no_thumbnail(self, inputs):
        assert ShownInputs(inputs, self.model).thumbnail(0) is None

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            (([],), ValueError, "nothing to show"),
            ((torch.zeros(0, 3, 4, 4),), ValueError, "nothing to show"),
            ((DataLoader(TensorDataset(torch.zeros(0, 3))),), ValueError, "nothing to show"),
            (("cat.png",), TypeError, "not str"),
            (([PIL.Image.new("L", (4, 4))],), ValueError, "a Image is no tensor: give transform="),
            ((torch.zeros(2, 3), len), ValueError, "transform belongs to a list"),
            (([np.zeros((4, 4))], str), ValueError, "transform gave a str"),
            (((torch.zeros(2, 3), torch.zeros(3, 3)),), ValueError, r"\[2, 3\] pieces"),
            ((torch.zeros(2, 3), None, ["a"]), ValueError, "1 labels for 2 inputs"),
        ],
    )
    def test_what_cannot_be_shown(self, arguments, error, message):
        inputs, *rest = arguments
        with pytest.raises(error, match=message):
            ShownInputs(inputs, self.model, *rest)

    def test_inputs_of_different_shapes(self):
        inputs = ShownInputs([torch.zeros(3, 4, 4), torch.zeros(3, 5, 4)], self.model)
        with pytest.raises(ValueError, match=r"\(3, 4, 4\), \(3, 5, 4\).*resize"):
            inputs.batch([0, 1])
