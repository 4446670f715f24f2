"""The inputs of the pane of spectral images: those given from Python, those dropped on the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from svr_widget.engine.analysis.activations.similarity import Reference, check_reference
from svr_widget.engine.model.images import Form, is_picture
from svr_widget.svr import SVR
from svr_widget.widget.answers.images import pack, spectral_images
from svr_widget.widget.answers.shown_inputs import ShownInputs, Transform
from svr_widget.widget.wire.codec import encode

Question = dict[str, Any]

MOST_INPUTS = 64
"""Inputs that one question may ask for."""

MOST_DROPPED = 64
LARGEST_IMAGE = 4096
"""Images that may be dropped on the page, and pixels a side of one; the page sends 1024."""


class Gallery:
    """What can be shown, by number: the inputs given first, then the dropped ones.

    Args:
        model: what the inputs are for; None for bare weights, which have no spectral images.
        reference: what the images are compared with, as in ``SVR.similarity``.
        form: what the model takes, as far as that is known.
    """

    def __init__(
        self,
        model: nn.Module | None,
        reference: Reference = "sobel",
        form: Form | None = None,
    ) -> None:
        check_reference(reference)
        self._model, self._form = model, form
        self._given: Any = None
        self._transform: Transform | None = None
        self._sources: list[ShownInputs] = []
        self._reference: Reference = reference
        self._revision = 0

    @property
    def given(self) -> Any:
        """The inputs as they were given."""
        return self._given

    @property
    def note(self) -> str:
        """What was done to the values of the inputs given; empty for nothing."""
        return next((source.note for source in self._sources if source.note), "")

    @property
    def transform(self) -> Transform | None:
        """From one image to the model's input."""
        return self._transform

    @property
    def reference(self) -> Reference:
        """What spectral images are compared with, as in ``SVR.similarity``."""
        return self._reference

    @reference.setter
    def reference(self, reference: Reference) -> None:
        check_reference(reference)
        self._reference = reference
        self._revision += 1

    def give(
        self,
        inputs: Any,
        transform: Transform | None = None,
        labels: Sequence[object] | None = None,
    ) -> None:
        """Show other inputs, ``None`` for none; what was dropped goes too.

        Raises:
            TypeError, ValueError: see ``ShownInputs``; what was shown stays then.
        """
        if inputs is None:
            sources = []
        elif self._model is None:
            raise ValueError("inputs need a model to run through; this is an SVR of bare weights")
        else:
            # Inputs that need no transform may come with one, for images that are dropped.
            each = transform if isinstance(inputs, list) or is_picture(inputs) else None
            sources = [ShownInputs(inputs, self._model, each, labels, self._form)]
        self._given, self._transform, self._sources = inputs, transform, sources
        self._revision += 1

    def describe(self) -> dict[str, Any]:
        """For the page: labels, whether there is a model, the reference's name, and a revision."""
        labels = [source.label(i) for source in self._sources for i in range(len(source))]
        reference = "sobel" if not callable(self._reference) else _name(self._reference)
        return {
            "labels": labels,
            "model": self._model is not None,
            "reference": reference,
            "revision": self._revision,
        }

    def images(self, svr: SVR, question: Question) -> bytes:
        """The images of some inputs: ``meta["groups"]`` as ``pack`` gives them, one a source.

        ``question`` has the numbers of the ``inputs``, for each map its ``neurons``, the ``most``
        positions a side, and whether to compare them with the ``reference`` (``cosine``). The
        arrays of a group begin with its place: ``"0_values_0"``.
        """
        by_source: dict[int, list[int]] = {}
        for number in question["inputs"]:
            source, place = self._find(number)
            by_source.setdefault(source, []).append(place)
        groups: list[dict[str, Any]] = []
        arrays: dict[str, NDArray[Any]] = {}
        for source, which in by_source.items():
            inputs = self._sources[source]
            neurons = question["neurons"]
            reference = self._reference if question.get("cosine") else None
            found = spectral_images(svr, inputs, which, neurons, question["most"], reference)
            meta, mine = pack(found, inputs, which)
            first = sum(len(before) for before in self._sources[:source])
            for shown in meta["inputs"]:
                shown["number"] += first
            arrays |= {f"{len(groups)}_{name}": array for name, array in mine.items()}
            groups.append(meta)
        return encode({"groups": groups}, arrays)

    def drop(self, pixels: Any, height: int, width: int, name: str) -> None:
        """Add an image of RGB bytes, prepared by ``transform`` or like the inputs that are there.

        Raises:
            ValueError: there is no model, or neither a transform nor an input to go by.
        """
        if self._model is None:
            raise ValueError("an image needs a model to run through; these are bare weights")
        given = 0 if self._given is None else 1
        if len(self._sources) - given >= MOST_DROPPED:
            raise ValueError(f"{MOST_DROPPED} images were dropped: set widget.inputs to begin anew")
        array = np.frombuffer(pixels, np.uint8)
        if array.size != height * width * 3 or not array.size:
            raise ValueError(f"{array.size} bytes are no RGB image of {width} x {height}")
        image = Image.fromarray(array.reshape(height, width, 3))
        if self._transform is not None:
            added = ShownInputs([image], self._model, self._transform, [name])
        else:
            added = ShownInputs(self._like_the_others(image), self._model, None, [name])
        self._sources.append(added)
        self._revision += 1

    def _like_the_others(self, image: Image.Image) -> Tensor:
        """``[1, c, h, w]`` in the size and colours of the first input, values in [0, 1]."""
        batch = tree_leaves(self._sources[0].batch([0])) if self._sources else []
        example = next((x for x in batch if isinstance(x, Tensor)), None)
        if example is None or example.dim() != 4 or example.shape[1] not in (1, 3):
            raise ValueError(
                "how this image becomes the model's input is not known: give inputs= of images "
                "[n, 1 or 3, h, w], or transform=, which turns a PIL image into the tensor that "
                "the model takes"
            )
        channels, *size = example.shape[1:]
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float32) / 255
        tensor = torch.from_numpy(pixels.reshape(*pixels.shape[:2], channels)).movedim(-1, 0)[None]
        resized = functional.interpolate(tensor, size=size, mode="bilinear", antialias=True)
        return resized.to(example.dtype)

    def _find(self, number: int) -> tuple[int, int]:
        which = int(number)
        for place, source in enumerate(self._sources):
            if 0 <= which < len(source):
                return place, which
            which -= len(source)
        raise ValueError(f"there is no input {number}, only {len(self.describe()['labels'])}")


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)
