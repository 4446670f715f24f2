"""Which entries among bare weights are maps, and whether they are kept outputs or inputs first.

Linear layers and convolutions keep ``[out, in/groups, *kernel]``, transposed convolutions,
embeddings and the ``Conv1D`` of transformers ``[in, out/groups, *kernel]``. A file does not say
which it is. Where a bias lies beside a weight, its length tells: it is the number of outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from torch import Tensor

from svr_widget.engine.errors import (
    NoMapsError,
    NonFiniteWeightsError,
    UnsupportedLayerError,
    listed,
)
from svr_widget.engine.maps.parts import LINEAR_TRANSPOSED, TRANSPOSED_CONVOLUTION
from svr_widget.engine.maps.stored import LowRank
from svr_widget.engine.maps.weights import floating
from svr_widget.engine.model.find_maps import Selection
from svr_widget.engine.network.bare_weights.given import BareWeights

NonFinite = Literal["refuse", "leave out"]
"""What becomes of a network some maps of which have NaN or infinite entries."""

READ_AS = (
    "[out, in, *kernel] without groups, though ConvTranspose, Embedding and Conv1D keep "
    "[in, out, *kernel]"
)
"""How weights are read where nothing tells how they are kept."""

# Entries of a state dict that a weight is computed from: their own values are not the weight.
_PARTS = ("weight_v", "weight_g", "weight_orig", "original0", "original1", "original")


class Weight(NamedTuple):
    """A weight in canonical form, and whether it is known that this is the right one.

    Of one that stays in its file there are no values here (they are on the meta device), but what
    it is called there.
    """

    values: Tensor
    kind: str
    groups: int = 1
    certain: bool = False
    kept: Kept | None = None
    own: str = ""

    @property
    def outputs(self) -> int:
        """Output channels of all groups together."""
        return self.values.shape[0]

    @property
    def inputs(self) -> int:
        """Input channels of all groups together."""
        return self.values.shape[1] * self.groups

    def __str__(self) -> str:
        groups = f" in {self.groups} groups" if self.groups > 1 else ""
        return _shape(self.values) + groups


class Chosen(NamedTuple):
    """The maps among the entries.

    Attributes:
        weights: those that can be shown, by name.
        order: the names of all.
        damaged: those that are not finite, with words for each.
        notes: what became of the other entries.
    """

    weights: dict[str, Weight]
    order: list[str]
    damaged: dict[str, str]
    notes: list[str]


def choose(
    bare: BareWeights, selection: Selection, asked_for: bool, non_finite: NonFinite
) -> Chosen:
    """The entries that are maps, under the names of their modules."""
    chosen = Chosen({}, [], {}, [])
    turned, odd, aside, unreal = list[str](), list[str](), list[str](), list[str]()
    parts = list[str]()
    names = _module_names(bare.named)
    layers = any(name.endswith(".weight") for name in bare.named) and not asked_for
    for own, tensor in bare.named.items():
        name = names[own]
        if tensor.ndim < 2 or not selection(name):
            continue
        if name.rsplit(".", 1)[-1] in _PARTS:
            parts.append(name)
            continue
        words = f"{name!r} ({_shape(tensor)})"
        if tensor.is_complex() and not bare.is_list:
            unreal.append(words)
            continue
        if layers and tensor.ndim > 2 and not _of_layer(own):
            aside.append(words)
            continue
        bias = None if bare.is_list else _bias(own, bare.named)
        kept = Kept(certain=True) if isinstance(tensor, LowRank) else _kept(tensor, bias)
        if kept is None:
            odd.append(f"{name!r} ({_shape(tensor)}, with a bias of {bias})")
            continue
        chosen.order.append(name)
        try:
            values = floating(name, tensor.detach())
        except NonFiniteWeightsError as error:
            if non_finite == "refuse":
                raise
            chosen.damaged[name] = str(error)
            continue
        if kept.transposed:
            turned.append(repr(name))
        if bare.files is not None and not isinstance(values, LowRank):
            chosen.weights[name] = kept.read(values.to("meta"))._replace(kept=kept, own=own)
        else:
            chosen.weights[name] = kept.read(values)
    selection.check(names.values())
    if parts:
        ends = sorted({f"*{name.rpartition('.')[2]}" for name in parts})
        raise UnsupportedLayerError(
            f"what a weight is computed from (spectral norm or pruning), and not the weight: "
            f"{listed([repr(name) for name in parts], shown=2)}; give the model itself, as in "
            f"{bare.model}, or leave them out with exclude={ends}"
        )
    told = {
        "kept [in, out, *kernel], as the lengths of their biases tell, and read so": turned,
        "left out, for their biases fit neither [out, in, *kernel] nor [in, out, *kernel]": odd,
        "left out, for by their names they are no layers' weights (include= takes them)": aside,
        "left out, for they are complex and only real weights have neurons here": unreal,
    }
    chosen.notes.extend(f"{words}: {listed(some, shown=2)}" for words, some in told.items() if some)
    if not chosen.weights and chosen.damaged:
        raise NonFiniteWeightsError(next(iter(chosen.damaged.values())))
    if not chosen.weights:
        besides = "".join(f"; {note}" for note in (*bare.notes, *chosen.notes))
        raise NoMapsError(
            f"no weight of two or more dimensions among {len(bare.named)} entries"
            f"{selection.described()}; a linear map is [out, in, *kernel]{besides}"
        )
    return chosen


class Kept(NamedTuple):
    """How a weight is kept: as ``[out, in/groups, *kernel]``, or ``[in, out/groups, *kernel]``."""

    transposed: bool = False
    groups: int = 1
    certain: bool = False

    def read(self, values: Tensor) -> Weight:
        """A weight that is kept so in canonical form."""
        if not self.transposed:
            kind = "linear" if values.ndim == 2 else "convolution"
            return Weight(values, kind, self.groups, self.certain)
        kind_of = LINEAR_TRANSPOSED if values.ndim == 2 else TRANSPOSED_CONVOLUTION
        values = kind_of.canonical(values, self.groups)
        return Weight(values, kind_of.noun, self.groups, self.certain)


def _kept(weight: Tensor, bias: int | None) -> Kept | None:
    """How a weight is kept beside a bias of a length; None where that fits neither way."""
    first, second = weight.shape[:2]
    if bias is None or bias == first:
        return Kept(certain=bias is not None and first != second)
    if bias == second:
        return Kept(transposed=True, certain=True)
    groups, rest = divmod(bias, second) if second else (0, 1)
    if weight.ndim > 2 and not rest and groups and first % groups == 0:
        return Kept(transposed=True, groups=groups, certain=True)
    return None


def _bias(name: str, named: Mapping[str, Tensor]) -> int | None:
    """The length of the bias that belongs to a weight, by their names."""
    module, dot, last = name.rpartition(".")
    for word in ("weight", "kernel"):
        if word in last:
            found = named.get(f"{module}{dot}{last.replace(word, 'bias')}")
            break
    else:
        found = named.get(f"{name}.bias")
    return found.shape[0] if found is not None and found.ndim == 1 else None


def _of_layer(name: str) -> bool:
    """Whether a name is one that layers give their weights, and not a position's or a token's."""
    last = name.rpartition(".")[2]
    return "weight" in last or "kernel" in last


def _module_names(named: Iterable[str]) -> dict[str, str]:
    """``"layer1.conv.weight"`` goes by its module's name, ``"layer1.conv"``, where that is free."""
    every = set(named)
    short = {name: name.removesuffix(".weight") for name in named}
    return {
        name: name if short[name] != name and short[name] in every else short[name]
        for name in named
    }


def _shape(weight: Tensor) -> str:
    return "x".join(map(str, weight.shape))
