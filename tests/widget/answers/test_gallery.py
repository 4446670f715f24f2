"""Inputs of the pane of spectral images: given, set, dropped; and what is answered about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from svr_widget import SVRWidget
from svr_widget.engine.errors import SVRError
from svr_widget.widget.wire.codec import decode


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3, stride=2))


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(5, 1, 12, 14, generator=torch.Generator().manual_seed(4))


def asked(widget: SVRWidget, question: dict[str, Any], buffers: Any = ()) -> Any:
    sent: list[Any] = []
    widget.send = lambda reply, buffers=None: sent.append((reply, buffers))  # type: ignore[method-assign]
    widget._answer(widget, {"id": 1, **question}, buffers)
    ((reply, binary),) = sent
    return reply, (decode(binary[0]) if binary else None)


def image_question(inputs: list[int], **neurons: list[int]) -> dict[str, Any]:
    return {"kind": "images", "inputs": inputs, "neurons": neurons, "most": 64, "cosine": True}


def test_images_are_the_filtered_inputs(model: nn.Sequential, images: Tensor) -> None:
    widget = SVRWidget(model, inputs=images, labels=list("abcde"))
    expected = {"labels": list("abcde"), "model": True, "reference": "sobel", "revision": 1}
    assert widget._inputs == expected
    question = image_question([3, 1], **{"0": [0, -1], "2": [1]})
    _, (meta, arrays) = asked(widget, question)
    (group,) = meta["groups"]
    assert [shown["label"] for shown in group["inputs"]] == ["d", "b"]
    assert [shown["number"] for shown in group["inputs"]] == [3, 1]
    x = functional.relu(model[0](images[[3, 1]]))
    V = widget.svr["2"].V[..., 1].double()
    expected = functional.conv2d(x.double(), V[None], stride=2)[:, 0].detach().numpy()
    place = [shown["name"] for shown in group["maps"]].index("2")
    assert np.allclose(arrays[f"0_values_{place}"][:, 0], expected, atol=1e-5)
    assert group["maps"][1 - place]["neurons"] == [0, 3]
    assert arrays["0_thumbnail_0"].shape == (12, 14, 3)


def test_inputs_are_set_and_refused(model: nn.Module, images: Tensor) -> None:
    widget = SVRWidget(model)
    assert widget._inputs["labels"] == []
    widget.inputs = images[:2]
    assert (widget._inputs["labels"], widget._inputs["revision"]) == (["0", "1"], 2)
    with pytest.raises(TypeError, match="not str"):
        widget.inputs = "photo.png"
    assert widget.inputs is not None
    assert widget._inputs["labels"] == ["0", "1"]
    widget.inputs = None
    assert widget._inputs["labels"] == []


def middle(inputs: Tensor, size: tuple[int, int]) -> Tensor:
    """Black but for the pixel in the middle."""
    reference = torch.zeros(len(inputs), *size)
    reference[:, size[0] // 2, size[1] // 2] = 1
    return reference


def test_images_are_compared_with_the_callers_own_map(model: nn.Sequential, images: Tensor) -> None:
    widget = SVRWidget(model, inputs=images, reference=middle)
    assert widget._inputs["reference"] == "middle"
    _, (meta, arrays) = asked(widget, image_question([0, 4], **{"0": [1, 3]}))
    filters = widget.svr["0"].V.movedim(-1, 0)[[1, 3]]
    y = functional.conv2d(images[[0, 4]].double(), filters.double())
    expected = y[..., 5, 6].abs() / y.flatten(2).norm(dim=2)  # 10 x 12 positions
    assert meta["groups"][0]["maps"][0]["cosine"]
    assert np.allclose(arrays["0_cosine_0"], expected, rtol=1e-5)

    before = widget._inputs["revision"]
    with pytest.raises(SVRError, match="sobel"):
        widget.reference = "sobbel"  # type: ignore[assignment]
    assert (widget.reference, widget._inputs["revision"]) == (middle, before)
    widget.reference = "sobel"
    assert widget._inputs["reference"] == "sobel"
    assert widget._inputs["revision"] > before
    _, (_, of_sobel) = asked(widget, image_question([0, 4], **{"0": [1, 3]}))
    table = widget.svr.similarity(images[[0, 4]], maps="0", neurons=[1, 3])
    assert np.allclose(of_sobel["0_cosine_0"].mean(0), table["mean"], rtol=1e-5)


def test_a_reference_of_another_size_is_said(model: nn.Module, images: Tensor) -> None:
    widget = SVRWidget(model, inputs=images, reference=lambda inputs, size: inputs[:, 0])
    reply, found = asked(widget, image_question([0], **{"0": [0]}))
    assert found is None
    assert "reference gave (1, 12, 14); it must give [batch, 10, 12]" in reply["message"]


def test_bare_weights_have_no_images(images: Tensor) -> None:
    weights = [torch.randn(4, 3), torch.randn(2, 4)]
    with pytest.raises(ValueError, match="bare weights"):
        SVRWidget(weights, inputs=images)
    assert SVRWidget(weights)._inputs["model"] is False


@pytest.mark.parametrize("with_transform", [False, True])
def test_a_dropped_image_is_prepared_and_shown(
    model: nn.Module, images: Tensor, with_transform: bool
) -> None:
    seen: list[Any] = []

    def transform(image: Image.Image) -> Tensor:
        seen.append(image)
        grey = np.asarray(image.convert("L").resize((9, 9)), np.float32)
        return torch.from_numpy(grey / 255)[None]

    widget = SVRWidget(model, inputs=images, transform=transform if with_transform else None)
    pixels = np.zeros((24, 28, 3), np.uint8)
    pixels[:, 14:] = 255
    question = {"kind": "drop", "height": 24, "width": 28, "name": "<b>half</b>.png"}
    reply, _ = asked(widget, question, [memoryview(pixels.tobytes())])
    assert reply["kind"] == "drop", reply
    assert widget._inputs["labels"][5:] == ["<b>half</b>.png"]
    assert bool(seen) == with_transform
    _, (meta, arrays) = asked(widget, image_question([5, 0], **{"0": [0]}))
    assert [[shown["number"] for shown in group["inputs"]] for group in meta["groups"]] == [
        [5],
        [0],
    ]
    values = arrays["0_values_0"][0, 0]
    assert values.shape == ((7, 7) if with_transform else (10, 12))
    V = widget.svr["0"].V[..., 0].double()
    side = 9 if with_transform else None
    shape = (side, side) if side else (12, 14)
    white = torch.zeros(1, 1, *shape, dtype=torch.float64)
    white[..., shape[1] // 2 + 2 :] = 1
    expected = functional.conv2d(white, V[None])[0, 0].numpy()
    assert np.allclose(values[:, -1:], expected[:, -1:], atol=1e-5)
    assert np.allclose(values[:, :1], expected[:, :1], atol=1e-5)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"kind": "drop", "height": 5, "width": 5, "name": "x"}, "no RGB image of 5 x 5"),
        (image_question([99], **{"0": [0]}), "no input 99, only 5"),
        (image_question([-1], **{"0": [0]}), "no input -1"),
        (image_question([0] * 65, **{"0": [0]}), "more than 64"),
    ],
)
def test_what_cannot_be_shown_is_said(
    model: nn.Module, images: Tensor, question: dict[str, Any], message: str
) -> None:
    widget = SVRWidget(model, inputs=images)
    reply, _ = asked(widget, question, [b"abc"])
    assert reply["kind"] == "error"
    assert message in reply["message"]


def test_a_dropped_image_needs_something_to_go_by(model: nn.Module) -> None:
    widget = SVRWidget(model)
    question = {"kind": "drop", "height": 1, "width": 1, "name": "x"}
    reply, _ = asked(widget, question, [b"abc"])
    assert "transform=" in reply["message"]
    assert widget._inputs["labels"] == []
