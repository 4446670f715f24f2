"""Spectral images for the pane that shows them: of chosen neurons, for chosen inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from svr_widget.engine.analysis.activations.activations import Filters, called
from svr_widget.engine.analysis.activations.hooks import placed_example
from svr_widget.engine.analysis.activations.similarity import Reference, cosines, reference_images
from svr_widget.engine.decompose import Flattening
from svr_widget.engine.errors import SVRError, nearest_name
from svr_widget.engine.model.example_inputs import Example
from svr_widget.svr import SVR
from svr_widget.widget.answers.shown_inputs import THUMBNAIL_SIDE, ShownInputs, pooled

MOST_PIXELS = 128
"""Positions a side that are sent, at most."""

Kind = Literal["bar", "line", "image"]


class MapImages(NamedTuple):
    """The spectral activations of one map.

    Attributes:
        kind: ``"bar"`` (one number a neuron and input), ``"line"`` (one a position) or
            ``"image"``.
        neurons: which they are.
        values: float32 ``[inputs, neurons, *positions]``, signed; positions are average-pooled
            where there are more than was asked for.
        positions: the shape of the positions before pooling; ``()`` for bars.
        scale: float32 ``[inputs, neurons]``, the largest magnitude in ``values`` of each.
        cosine: float32 ``[inputs, neurons]``, as in ``SVR.similarity``; None where there is no
            such image.
    """

    kind: Kind
    neurons: list[int]
    values: NDArray[np.float32]
    positions: tuple[int, ...]
    scale: NDArray[np.float32]
    cosine: NDArray[np.float32] | None


class SpectralImages(NamedTuple):
    """What the pane shows.

    Attributes:
        maps: by name of the column.
        left_out: the columns asked for that have nothing to show, with the reason.
    """

    maps: dict[str, MapImages]
    left_out: dict[str, str]


def spectral_images(
    svr: SVR,
    inputs: ShownInputs,
    which: Sequence[int],
    neurons: Mapping[str, Sequence[int] | None],
    most: int = MOST_PIXELS,
    reference: Reference | None = "sobel",
) -> SpectralImages:
    """Run the chosen inputs through the model: once, or for a cross graph once for each side.

    Args:
        svr: of a model.
        inputs: what can be shown.
        which: numbers of the inputs.
        neurons: for each of ``svr.columns`` to show, its neurons (-1 is the last), None for all;
            each is filtered by the ``V`` of its own flattening.
        most: positions a side that are sent, at most.
        reference: what to compare the images with, as in ``SVR.similarity``; None for nothing.
            Where ``"sobel"`` cannot be had, the inputs being no images, nothing is compared.

    Raises:
        SVRError: the SVR is of bare weights, there is no such map or neuron, or the reference has
            another size.
    """
    example: Example | None = None
    references: _References | None = None
    shown = SpectralImages({}, {})
    for flattening, names in _columns_by_flattening(svr, neurons).items():
        every = {of: neurons[name] for of, name in names.items()}
        chosen = {of: slice(None) if mine is None else mine for of, mine in every.items()}
        filters = Filters(svr, None, chosen, flattening)
        if example is None:
            example = placed_example(filters.model, inputs.batch(which))
            references = None if reference is None else _References(reference, example)
        found = _read(filters, names, example, len(which), most, references)
        shown.maps.update(found.maps)
        shown.left_out.update(found.left_out)
    return shown


def bytes_of_images(question: Mapping[str, Any]) -> int:
    """How much a question for images makes at most: all of them as large as they may be."""
    neurons = sum(len(chosen) for chosen in question["neurons"].values())
    inputs, most = len(question["inputs"]), int(question["most"])
    return inputs * (4 * neurons * (most**2 + 2) + 3 * THUMBNAIL_SIDE**2)


def _columns_by_flattening(svr: SVR, names: Iterable[str]) -> dict[Flattening, dict[str, str]]:
    """For each flattening the columns of that side, by the names of their maps."""
    found: dict[Flattening, dict[str, str]] = {}
    for name in names:
        if name not in svr.columns:
            raise SVRError(f"no map {name!r}{nearest_name(name, svr.columns)}")
        of, flattening = svr.columns[name]
        found.setdefault(flattening, {})[of] = name
    return found


def _read(
    filters: Filters,
    names: Mapping[str, str],
    example: Example,
    batch: int,
    most: int,
    references: _References | None,
) -> SpectralImages:
    """What the maps of some filters show in one run, as ``names`` call them."""
    maps: dict[str, MapImages] = {}
    left_out: dict[str, str] = {}

    def receive(of: str, call: int, arguments: tuple[Any, ...]) -> None:
        name = names[of]
        if filters.position_dims(of, arguments[0]) > 2:
            left_out[name] = "its activations have more than two dimensions of positions"
            return
        y = filters[of](*arguments)
        if len(y) != batch:
            left_out[name] = f"its first dimension is not the batch: {len(y)} for {batch}"
            return
        maps[called(name, call)] = _shown(y, filters.neurons(of), most, references)

    missing = filters.run(example, receive)
    return SpectralImages(maps, left_out | {names[of]: why for of, why in missing.items()})


class _References:
    """What the images are compared with, one of each size; None where Sobel has no images."""

    def __init__(self, reference: Reference, example: Example) -> None:
        self._reference, self._example = reference, example
        self._made: dict[tuple[int, int], Tensor | None] = {}

    def at(self, size: tuple[int, int]) -> Tensor | None:
        if size not in self._made:
            try:
                self._made[size] = reference_images(self._reference, self._example, size)
            except SVRError:
                if callable(self._reference):
                    raise
                self._made[size] = None
        return self._made[size]


def _shown(y: Tensor, neurons: list[int], most: int, references: _References | None) -> MapImages:
    positions = tuple(y.shape[2:])
    kind: Kind = "image" if len(positions) == 2 else "line" if positions else "bar"
    if math.prod(positions) == 1:
        y, positions, kind = y.flatten(1), (), "bar"
    likeness = None
    if kind == "image" and references is not None and min(positions) > 1:
        reference = references.at((positions[0], positions[1]))
        likeness = None if reference is None else cosines(y, reference)
    y = y.float()
    if positions:
        y = pooled(y, len(positions), most)
    scale = y.abs().flatten(2).amax(2) if positions else y.abs()
    return MapImages(
        kind,
        neurons,
        y.contiguous().cpu().numpy(),
        positions,
        scale.cpu().numpy(),
        None if likeness is None else likeness.float().cpu().numpy(),
    )


def pack(
    images: SpectralImages, inputs: ShownInputs, which: Sequence[int]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The images and the thumbnails of their inputs for the codec.

    Returns:
        ``meta``: ``inputs`` (number, label, thumbnail: whether there is one), ``maps`` (name, kind,
        neurons, positions, cosine: whether there is one) and ``left_out``; and the arrays
        ``thumbnail_0``... by place in ``inputs``, ``values_0``, ``scale_0`` and ``cosine_0``... by
        place in ``maps``.
    """
    arrays: dict[str, NDArray[Any]] = {}

    def add(name: str, array: NDArray[Any] | None) -> bool:
        if array is not None:
            arrays[name] = array
        return array is not None

    shown = [
        {
            "number": number,
            "label": inputs.label(number),
            "thumbnail": add(f"thumbnail_{place}", inputs.thumbnail(number)),
        }
        for place, number in enumerate(which)
    ]
    maps = []
    for place, (name, image) in enumerate(images.maps.items()):
        add(f"values_{place}", image.values)
        add(f"scale_{place}", image.scale)
        maps.append(
            {
                "name": name,
                "kind": image.kind,
                "neurons": image.neurons,
                "positions": image.positions,
                "cosine": add(f"cosine_{place}", image.cosine),
            }
        )
    return {"inputs": shown, "maps": maps, "left_out": images.left_out}, arrays
