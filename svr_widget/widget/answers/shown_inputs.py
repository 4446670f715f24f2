"""The inputs that a widget shows: what the model is called with, a thumbnail, a label of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import DataLoader

from svr_widget.engine.analysis.activations.hooks import of_batch
from svr_widget.engine.model.images import Form, are_images, is_picture, taken

Transform = Callable[[Any], Any]

THUMBNAIL_SIDE = 128
PLANES = (1, 3, 4)


class ShownInputs:
    """Inputs by number, as the person gave them.

    Args:
        inputs: a tensor or array ``[n, ...]``, a tuple or mapping of them, which the model is
            called with; or a PIL image or a list of single inputs (PIL images, arrays or tensors),
            which ``transform`` makes into the model's input, or the engine's rules for images; or a
            ``DataLoader``, of which the first batch is taken.
        model: decides how much of a loader's batch is its input (``SVR.spectral_activations``).
        transform: from one of a list to the tensor ``[channels, h, w]`` that the model takes.
        labels: one a piece; those of a loader's batch by default, else numbers.
        form: what the model takes, as far as that is known.

    Attributes:
        note: what was done to the values of images; empty for nothing.

    Raises:
        TypeError: inputs of another kind.
        ValueError: there are none, they differ in number or in shape, or they need a transform.
    """

    def __init__(
        self,
        inputs: Any,
        model: nn.Module,
        transform: Transform | None = None,
        labels: Sequence[object] | None = None,
        form: Form | None = None,
    ) -> None:
        self._transform, self._form = transform, form
        self.note = ""
        self._singles: Sequence[Any] | None = None
        self._batch: Any = None
        if isinstance(inputs, DataLoader):
            batch = next(iter(inputs), None)
            inputs = None if batch is None else of_batch(model, batch)
            rest = batch[len(inputs) :] if isinstance(batch, tuple | list) else ()
            if labels is None and rest and isinstance(rest[0], Tensor) and rest[0].dim() == 1:
                labels = rest[0].tolist()
        if is_picture(inputs):
            inputs = [inputs]
        if isinstance(inputs, list):
            self._singles = inputs
            count = len(inputs)
            if count:
                self.batch(self._kinds())  # what cannot be used is to be known now
        elif isinstance(inputs, Tensor | np.ndarray | tuple | Mapping):
            if transform is not None:
                raise ValueError("transform belongs to a list of single images, one by one")
            one = isinstance(inputs, tuple) and len(inputs) == 1  # as a loader gives it
            found = taken(inputs[0] if one else inputs, form)
            batch = (found.batch,) if one else found.batch
            self._batch, self.note = tree_map(_as_tensor, batch), found.note
            sizes = {len(leaf) for leaf in tree_leaves(self._batch) if _has_batch(leaf)}
            if len(sizes) > 1:
                raise ValueError(f"the inputs hold {sorted(sizes)} pieces: they have to be as many")
            count = next(iter(sizes), 0)
        elif inputs is None:
            count = 0
        else:
            raise TypeError(
                "inputs are a tensor or an array, a list of images with transform=, or a "
                f"DataLoader, not {type(inputs).__name__}"
            )
        if not count:
            raise ValueError("inputs hold nothing to show")
        self._labels = [str(label) for label in (range(count) if labels is None else labels)]
        if len(self._labels) != count:
            raise ValueError(f"{len(self._labels)} labels for {count} inputs")

    def __len__(self) -> int:
        return len(self._labels)

    def label(self, which: int) -> str:
        """What an input is called."""
        return self._labels[which]

    def batch(self, which: Sequence[int]) -> Any:
        """The model's input for some of the inputs, in that order."""
        if self._singles is None:
            index = torch.tensor(which)
            return tree_map(lambda leaf: leaf[index] if _has_batch(leaf) else leaf, self._batch)
        if self._are_images:
            found = taken([self._singles[i] for i in which], self._form)
            self.note = found.note
            return found.batch
        made = [self._made(self._singles[i]) for i in which]
        if len({tuple(one.shape) for one in made}) > 1:
            shapes = ", ".join(dict.fromkeys(str(tuple(one.shape)) for one in made))
            raise ValueError(f"inputs of different shapes, {shapes}: let transform= resize them")
        return torch.stack(made)

    def _kinds(self) -> list[int]:
        """The first input; of images that nothing transforms one of every kind that there is."""
        assert self._singles is not None
        if not self._are_images:
            return [0]
        kinds: dict[str, int] = {}
        for place, single in enumerate(self._singles):
            about = (single.mode, single.size) if is_picture(single) else single.shape
            kinds.setdefault(f"{about} {getattr(single, 'dtype', '')}", place)
        return list(kinds.values())

    @property
    def _are_images(self) -> bool:
        """Whether the single inputs become the model's input by the engine's rules."""
        known = self._transform is None and self._form is not None
        return known and are_images(self._singles, self._form)

    def _made(self, single: Any) -> Tensor:
        made = single if self._transform is None else self._transform(single)
        made = _as_tensor(made)
        if not isinstance(made, Tensor):
            what = type(made).__name__
            raise ValueError(
                f"a {what} is no tensor: give transform=, which turns one image into the tensor "
                "that the model takes, such as torchvision.transforms.ToTensor()"
                if self._transform is None
                else f"transform gave a {what}, not a tensor"
            )
        return made

    def thumbnail(self, which: int) -> NDArray[np.uint8] | None:
        """An input as a small picture ``[h, w, 3]``, None where it is no image.

        Floating-point values outside of [0, 1] are stretched over the image's own range.
        """
        if self._singles is not None:
            return _picture(self._singles[which])
        return _picture(next(x for x in tree_leaves(self._batch) if _has_batch(x))[which])


def pooled(values: Tensor, dims: int, most: int) -> Tensor:
    """Average the last one or two dimensions down to at most ``most`` a side, proportions kept."""
    shape = values.shape[-dims:]
    longest = max(shape)
    if longest <= most:
        return values
    size = [max(1, round(n * most / longest)) for n in shape]
    if dims == 1:
        return functional.adaptive_avg_pool1d(values, size[0])
    return functional.adaptive_avg_pool2d(values, (size[0], size[1]))


def _as_tensor(leaf: Any) -> Any:
    return torch.from_numpy(leaf) if isinstance(leaf, np.ndarray) else leaf


def _has_batch(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.dim() > 0


def _picture(image: Any) -> NDArray[np.uint8] | None:
    """Of a PIL image, an array ``[h, w]``, ``[h, w, c]`` or ``[c, h, w]``, or a tensor like it."""
    if hasattr(image, "convert"):
        image = np.asarray(image.convert("RGB"))
    array = isinstance(image, np.ndarray)
    planes = torch.tensor(image) if array else image.detach().cpu()
    planes = planes[None] if planes.dim() == 2 else planes
    if array and planes.dim() == 3 and planes.shape[0] not in PLANES:
        planes = planes.movedim(-1, 0)
    if planes.dim() != 3 or planes.shape[0] not in PLANES or planes.is_complex():
        return None
    whole = not planes.is_floating_point()
    values = planes[:3].float() / (255 if whole and planes.dtype != torch.bool else 1)
    low, high = (float(v) for v in values.aminmax())
    if low < 0 or high > 1:
        values = (values - low) / max(high - low, 1e-30)
    values = pooled(values, 2, THUMBNAIL_SIDE)
    picture = (values * 255).round().to(torch.uint8).expand(3, -1, -1).movedim(0, -1)
    return np.ascontiguousarray(picture.numpy())
