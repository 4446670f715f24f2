"""Images as people have them, and what a model takes: PIL, uint8, channels last, without a batch.

What the model takes follows from its first map, whose number of input channels tells which axis
holds them, and from the input that the model was run on. Values: uint8 counts from 0 to 255 and is
divided by 255. Whether a model was trained on inputs normalised further is not to be seen in it, so
that is left to the caller. What does not fit, or fits in two ways, is refused with a line that
makes it fit. Token ids, tuples and mappings are none of this and pass unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.parts import Part

SCALED = (
    "uint8 images are scaled to [0, 1]: where the model was trained on inputs normalised further, "
    "give it those"
)

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Form:
    """What the first input of a model has to be.

    Attributes:
        name: of the map that reads it.
        channels: how many that map reads.
        dims: the dimensions of an image of its kernel; 0 for a matrix, whose channels are features.
        last: the model takes its channels last.
        floating: it takes floating-point numbers.
        pictures: the form of the images that the model is known to take though its first map is a
            matrix, whose features it makes of them.
    """

    name: str
    channels: int
    dims: int
    last: bool = False
    floating: bool = True
    pictures: Form | None = None

    def wanted(self) -> str:
        """Such as ``"[n, 3, height, width]"``."""
        sides = {1: ["length"], 2: ["height", "width"], 3: ["depth", "height", "width"]}[self.dims]
        axes = [*sides, str(self.channels)] if self.last else [str(self.channels), *sides]
        return f"[n, {', '.join(axes)}]"


class Taken(NamedTuple):
    """Inputs as the model takes them.

    Attributes:
        batch: the tensor, or whatever it is that passes unchanged.
        note: what was done to the values; empty for nothing.
    """

    batch: Any
    note: str = ""


def form_of(parts: Iterable[Part], example: Tensor | None = None) -> Form | None:
    """What a model takes, by its first map; None where that tells nothing.

    Args:
        parts: the maps in order of execution.
        example: what the model is known to take as its first input.
    """
    first = next(iter(parts), None)
    if first is None or first.kind.application == "lookup":
        return None
    floating = example is None or example.is_floating_point()
    if first.kind.application == "matrix":
        pictures = None if example is None else _pictures(first.name, example)
        return Form(first.name, first.inputs, 0, floating=floating, pictures=pictures)
    dims = (first.weight() if first.held is None else first.held).ndim - 2
    standard = Form(first.name, first.inputs, dims, floating=floating)
    if example is None:
        return standard
    shape = example.shape
    if len(shape) == dims + 2:
        if shape[1] == first.inputs:
            return standard
        if shape[-1] == first.inputs:
            return Form(first.name, first.inputs, dims, True, floating)
    return standard if len(shape) == dims + 1 and shape[0] == first.inputs else None


def _pictures(name: str, example: Tensor) -> Form | None:
    """The form of the images that an example is a batch of, if it is."""
    if example.ndim != 4 or not example.is_floating_point():
        return None
    axis = next((at for at in (1, -1) if example.shape[at] in _MODES), None)
    return None if axis is None else Form(name, example.shape[axis], 2, axis == -1)


def are_images(given: object, form: Form | None) -> bool:
    """Whether inputs are one image or a list of single ones, by themselves no batch of tensors."""
    if is_picture(given):
        return True
    if not isinstance(given, list) or not given:
        return False
    others = [each for each in given if not is_picture(each)]
    if not others:
        return True
    if form is None or not all(isinstance(each, np.ndarray | Tensor) for each in others):
        return False
    if form.dims:
        return all(each.ndim <= form.dims + 1 for each in others)
    if form.pictures is not None and all(each.ndim == 3 for each in others):
        return True
    return all(_lacks_batch(each.shape, form.channels) for each in others)


def is_picture(value: object) -> bool:
    """Whether it is an image of PIL, which need not be installed."""
    return all(hasattr(value, name) for name in ("convert", "mode", "size", "getbands"))


def taken(given: Any, form: Form | None) -> Taken:
    """Inputs as the model takes them; what is no image passes unchanged.

    Raises:
        SVRError: these are images, and how they become the model's input is not clear.
    """
    if isinstance(given, Mapping | tuple):
        return Taken(given)
    if form is None:
        if are_images(given, form):
            raise SVRError(
                "how a PIL image becomes the input of this model is not to be seen in its first "
                "map; give the tensor that the model takes"
            )
        return Taken(given)
    if are_images(given, form):
        singles = given if isinstance(given, list) else [given]
        made = [_single(each, form) for each in singles]
        shapes = list(dict.fromkeys("x".join(map(str, each.batch.shape[1:])) for each in made))
        if len(shapes) > 1:
            raise SVRError(
                f"the images are of different sizes, {' and '.join(shapes[:2])}: bring them to one "
                "first, as [x.resize((64, 64)) for x in images] does with PIL images"
            )
        note = next((each.note for each in made if each.note), "")
        return Taken(torch.cat([each.batch for each in made]), note)
    if isinstance(given, np.ndarray | Tensor):
        return _fitted(given, form)
    return Taken(given)


def fits(given: object, form: Form) -> bool:
    """Whether inputs are already what the model takes, so that nothing has to be found out."""
    if not isinstance(given, Tensor | np.ndarray):
        return not are_images(given, form)
    tensor = as_tensor(given)
    if tensor.is_floating_point() != form.floating:
        return False
    if form.pictures is not None and tensor.ndim > 2:
        return fits(given, form.pictures)
    if not form.dims:
        return not _lacks_batch(tensor.shape, form.channels)
    axis = -1 if form.last else 1
    return tensor.ndim == form.dims + 2 and tensor.shape[axis] == form.channels


def _single(image: Any, form: Form) -> Taken:
    if not is_picture(image):
        return _fitted(image, form, single=True)
    channels = form.channels
    if form.pictures is not None:
        return _single(image, form.pictures)
    if not form.dims:
        pixels = image.size[0] * image.size[1]
        channels, left = divmod(form.channels, pixels)
        if left or channels not in _MODES:
            raise SVRError(
                f"{_described(image)} has {pixels} pixels, and {form.name!r} reads "
                f"{form.channels} features; resize the image, or give the tensor that the model "
                "takes"
            )
    if channels not in _MODES or form.dims not in (0, 2):
        raise SVRError(
            f"{form.name!r} reads {channels} channels in {form.dims} dimensions, which is not to "
            f"be had from {_described(image)}; give {form.wanted()} as a tensor, such as "
            f"torch.rand({', '.join(map(str, _example_shape(form)))})"
        )
    if image.mode[0] in "IF":
        raise SVRError(
            f"{_described(image)} has other numbers than bytes, and what they count is not clear; "
            f'give image.convert("{_MODES[channels]}") where they are from 0 to 255'
        )
    pixels = np.asarray(image.convert(_MODES[channels]))
    pixels = pixels.reshape(*pixels.shape[:2], channels)
    if not form.dims:
        return _fitted(np.moveaxis(pixels, -1, 0).reshape(1, channels, *pixels.shape[:2]), form)
    return _fitted(
        pixels[None], Form(form.name, channels, 2, form.last, form.floating), pixels=True
    )


def _fitted(given: Any, form: Form, *, single: bool = False, pixels: bool = False) -> Taken:
    """A tensor or an array as the model takes it; ``pixels`` has its channels last for sure."""
    tensor = as_tensor(given)
    if form.pictures is not None and tensor.ndim > 2:
        return _fitted(given, form.pictures, single=single)
    tensor, note = _valued(tensor, given, form, single)
    if not form.dims:
        lacks_batch = single or _lacks_batch(tensor.shape, form.channels)
        return Taken(tensor[None] if lacks_batch else tensor, note)
    shape, channels, dims = tensor.shape, form.channels, form.dims
    if len(shape) == dims + 2 and not single:
        own = -1 if form.last or pixels else 1
        other = 1 if own == -1 else -1
        axis = next((at for at in (own, other) if shape[at] == channels), None)
    elif len(shape) == dims + 1:
        ends = [at for at in (0, -1) if shape[at] == channels]
        if len(ends) > 1 and channels > 1:
            raise _refusal(
                given, form, "whose first and last axis could both be channels", _TWO_WAYS, single
            )
        if not ends and channels == 1 and not single and (dims != 2 or shape[-1] not in (3, 4)):
            if dims == 2 and shape[0] in (3, 4):
                colour = (
                    "x.mean(0)" if as_tensor(given).is_floating_point() else "(x / 255).mean(0)"
                )
                two_ways = f"x[:, None] where they are several in grey, {colour} where it is one"
                why = "which may be one image in colour"
                raise _refusal(given, form, why, dict.fromkeys(_FLOAT, two_ways), single)
            tensor, axis = tensor.unsqueeze(1), 1
        elif ends:
            tensor, axis = tensor[None], 1 if ends[0] == 0 else -1
        else:
            axis = None
    elif len(shape) == dims and channels == 1:
        tensor, axis = tensor[None, None], 1
    else:
        axis = None
    if axis is None:
        line = _line(given, form, tensor)
        raise _refusal(given, form, "in which they are not to be found", line, single)
    target = -1 if form.last else 1
    return Taken(tensor if axis == target else tensor.movedim(axis, target).contiguous(), note)


def _lacks_batch(shape: Sequence[int], features: int) -> bool:
    """Whether all that there is, is what the first matrix reads of one input."""
    flattened = math.prod(shape) == features and shape[-1] != features
    return tuple(shape) == (features,) or flattened


def _valued(tensor: Tensor, given: Any, form: Form, single: bool) -> tuple[Tensor, str]:
    """With the values that the model takes: floating-point, bytes scaled."""
    if tensor.is_floating_point() or tensor.is_complex() or not form.floating:
        return tensor, ""
    if tensor.dtype == torch.bool:
        return tensor.float(), ""
    image = form.dims or (tensor.ndim > 1 and tensor.shape[-1] != form.channels)
    if tensor.dtype == torch.uint8 and image:
        return tensor.float() / 255, SCALED
    most = {torch.uint16: 65535}.get(tensor.dtype, 255)
    line = f"x / {most}, where they are from 0 to {most}" if form.dims else _FLOAT[_kind(given)]
    raise SVRError(
        f"{form.name!r} reads floating-point numbers, and what the integers count that the inputs "
        f"are, {_described(given)}, is not clear; with x {_named(single)}, give {line}"
    )


_FLOAT = {"array": 'x.astype("float32")', "tensor": "x.float()"}
_TWO_WAYS = {
    "array": "x[None] where it is the first, np.moveaxis(x, -1, 0)[None] where it is the last",
    "tensor": "x[None] where it is the first, x.movedim(-1, 0)[None] where it is the last",
}


def _line(given: Any, form: Form, tensor: Tensor) -> dict[str, str]:
    """What makes images of another number of channels fit, where that is usual."""
    c, dims = form.channels, form.dims
    scaled = "x" if as_tensor(given).is_floating_point() else "(x / 255)"
    if c == 3 and tensor.ndim > dims and tensor.shape[-1] == 4:
        return dict.fromkeys(_FLOAT, "x[..., :3]")
    if c == 3 and tensor.ndim > dims and tensor.shape[-1] == 1:
        return {"array": "np.repeat(x, 3, axis=-1)", "tensor": "x.repeat_interleave(3, -1)"}
    if c == 3 and tensor.ndim > dims and tensor.shape[-1 - dims] == 4:
        return dict.fromkeys(_FLOAT, f"x[..., :3{', :' * dims}]")
    if c == 3 and tensor.ndim > dims and tensor.shape[-1 - dims] == 1:
        axis = -1 - dims
        return {
            "array": f"np.repeat(x, 3, axis={axis})",
            "tensor": f"x.repeat_interleave(3, {axis})",
        }
    if c == 1 and tensor.ndim > dims and tensor.shape[-1] in (3, 4):
        return dict.fromkeys(_FLOAT, f"{scaled}[..., :3].mean(-1)")
    if c == 1 and tensor.ndim > dims and tensor.shape[-1 - dims] in (3, 4):
        return dict.fromkeys(_FLOAT, f"{scaled}.mean({-1 - dims})")
    if c == 3 and tensor.ndim in (dims, dims + 1):
        return {
            "array": "np.repeat(x[..., None], 3, axis=-1), if these are grey",
            "tensor": "x[..., None].repeat_interleave(3, -1), if these are grey",
        }
    example = ", ".join(map(str, _example_shape(form)))
    return dict.fromkeys(_FLOAT, f"what has the form of torch.rand({example})")


def _example_shape(form: Form) -> tuple[int, ...]:
    sides = (32,) * form.dims
    return (1, *sides, form.channels) if form.last else (1, form.channels, *sides)


def _refusal(given: Any, form: Form, why: str, line: Mapping[str, str], single: bool) -> SVRError:
    noun = "channel" if form.channels == 1 else "channels"
    return SVRError(
        f"{form.name!r} reads {form.channels} {noun}, so the model takes {form.wanted()}; the "
        f"inputs are {_described(given)}, {why}; with x {_named(single)}, give {line[_kind(given)]}"
    )


def _named(single: bool) -> str:
    return "each of the inputs" if single else "the inputs"


def _kind(given: Any) -> str:
    return "tensor" if isinstance(given, Tensor) else "array"


def _described(given: Any) -> str:
    if is_picture(given):
        return f"a PIL image of mode {given.mode} and size {given.size[0]}x{given.size[1]}"
    kind = "a tensor" if isinstance(given, Tensor) else "an array"
    return f"{kind} {str(given.dtype).removeprefix('torch.')} {list(given.shape)}"


def as_tensor(given: Any) -> Tensor:
    """An array as a tensor, whatever its strides, byte order and flags; a tensor as it is."""
    if isinstance(given, Tensor):
        return given
    array = np.asarray(given)
    native = array.astype(array.dtype.newbyteorder("="), copy=not array.flags.writeable)
    return torch.from_numpy(np.ascontiguousarray(native))


Run = Callable[[Any], bool]
"""Whether the model runs on an input as it is."""


def _scaled(given: Any) -> Iterator[Taken]:
    """Bytes as they are but for their values."""
    if isinstance(given, np.ndarray | Tensor) and (tensor := as_tensor(given)).dtype == torch.uint8:
        yield Taken(tensor.float() / 255, SCALED)


def taken_by(given: Any, parts: Iterable[Part], runs: Run) -> Taken:
    """The first input that a model is given, of which nothing else is known yet.

    What the model takes as it is, is taken as it is, which running it shows: it may move channels
    or scale bytes itself. But for a missing batch axis, which layers of convolution do not need and
    others do.

    Raises:
        SVRError: as in ``taken``, where the model does not run either.
    """
    form = form_of(parts)
    if form is None or isinstance(given, Mapping | tuple) or fits(given, form):
        return Taken(given)
    as_it_is = Taken(given)
    refusal: SVRError | None = None
    try:
        found = taken(given, form)
    except SVRError as error:
        found, refusal = as_it_is, error
    if not is_picture(given):
        tried = [as_it_is] if refusal else [as_it_is, found]
        lacks_batch = isinstance(given, list) or as_tensor(given).ndim < found.batch.ndim
        if lacks_batch and not found.note:
            tried.reverse()
        # What stands before the first map may be what makes an input fit it.
        for each in (*tried, *_scaled(given)):
            if runs(each.batch):
                return each
    if refusal is not None:
        raise refusal
    return found
