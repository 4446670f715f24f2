"""Weights from a file: safetensors, whole or in shards, or a state dict that torch saved.

Nothing in a file is run: of pickles only what ``weights_only=True`` allows is read. What a file is
its first bytes say. Files are mapped into memory where they are not packed, so that what is left
out is never read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from safetensors import safe_open
from torch import Tensor

from svr_widget.engine.errors import SVRError, listed
from svr_widget.engine.network.checkpoints import torch_saved
from svr_widget.engine.network.checkpoints.formats import LOST, Kind, what_is
from svr_widget.engine.network.checkpoints.nesting import find_weights, pass_over

_SAFE = (".safetensors", ".safetensors.index.json")
_INDEX = (".safetensors.index.json", ".bin.index.json")
_PICKLED = (".pt", ".pth", ".bin", ".ckpt")
_IN_FOLDERS = (*_INDEX, ".safetensors", ".bin", ".pt", ".pth", ".ckpt")
"""How files end that are looked for in a folder, what is preferred first."""

_USUAL = (
    *(f"{name}{end}" for name in ("model", "diffusion_pytorch_model") for end in _SAFE),
    *("pytorch_model.bin", "diffusion_pytorch_model.bin", "pytorch_model.bin.index.json"),
)
"""What libraries call a model's own file, beside which others may lie."""

_BESIDE = ("optimizer", "scheduler", "scaler", "rng_state", "training_args", "trainer_state")
"""How files begin that trainers put beside the weights."""


class WeightFile(NamedTuple):
    """What a file holds.

    Attributes:
        title: what to call it.
        weights: by name, in the order of the file where that says something.
        notes: what has to be said about them.
        ordered: whether that order is the one in which they were saved; else it is by name, numbers
            in it by size.
        places: the safetensors file that each of them is in.
    """

    title: str
    weights: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()
    ordered: bool = True
    places: Mapping[str, Path] = MappingProxyType({})


class _Read(NamedTuple):
    weights: dict[str, Tensor]
    notes: tuple[str, ...]
    ordered: bool
    places: Mapping[str, Path] = MappingProxyType({})


def read_weights(path: Path) -> WeightFile:
    """The weights in a file, whatever it is called, or in a folder with one file or index of them.

    Raises:
        FileNotFoundError: there is no such file, or a shard is missing.
        OSError: it cannot be read.
        SVRError: it is damaged, of another kind, or holds no weights by name.
    """
    try:
        if not path.exists() and path.parts[:1] == ("~",):
            path = path.expanduser()
    except OSError as error:  # a name that no file can have
        raise FileNotFoundError(f"there is no file {str(path)[:80]!r}: {error.strerror}") from error
    notes: tuple[str, ...] = ()
    if path.is_dir():
        path, notes = _only_file(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    read = _of_path(path)
    return read._replace(notes=(*notes, *read.notes))


def _of_path(path: Path) -> WeightFile:
    try:
        if path.name.endswith(_INDEX):
            return WeightFile(path.parent.name, *_of_shards(path))
        return WeightFile(path.name, *_of_file(path))
    except (OSError, SVRError):
        raise
    except Exception as error:
        raise SVRError(f"{path} is damaged: {error!r}") from error


def _only_file(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """The file of weights in a folder, or the index of its shards, and what else lies there."""
    for end in _IN_FOLDERS:
        found = _weights_in(folder, end)
        usual = [each for each in found if each.name in _USUAL]
        if len(usual) == 1 and len(found) > 1:
            rest = listed([repr(each.name) for each in found if each != usual[0]], shown=2)
            return usual[0], (f"of the files in {folder.name} {usual[0].name} is read, not {rest}",)
        if len(found) == 1:
            return found[0], ()
        if found:
            names = listed([each.name for each in found], shown=4)
            raise SVRError(
                f"{folder} holds {len(found)} files of weights ({names}): name one, as in "
                f"SVR({str(found[0])!r})"
            )
    inside = [
        each
        for each in sorted(folder.iterdir())
        if each.is_dir() and any(_weights_in(each, end) for end in _IN_FOLDERS)
    ]
    said = ""
    if inside:
        names = listed([repr(each.name) for each in inside], shown=4)
        said = f"; there are in its folders {names}: name one, as in SVR({str(inside[0])!r})"
    raise FileNotFoundError(
        f"there is no safetensors file in {folder}, and no file of torch.save{said}"
    )


def _weights_in(folder: Path, end: str) -> list[Path]:
    return [
        each
        for each in sorted(folder.iterdir())
        if each.name.lower().endswith(end)
        and not each.name.startswith((".", *_BESIDE))
        and each.is_file()
    ]


def _of_file(path: Path) -> _Read:
    """The weights of one file."""
    kind = what_is(path)
    if kind is None or kind.name not in ("safetensors", "torch", "legacy torch"):
        raise _refusal(path, kind)
    called = path.suffix.lower()
    notes: tuple[str, ...] = ()
    if called in (".safetensors", *_PICKLED) and (called == ".safetensors") != (
        kind.name == "safetensors"
    ):
        notes = (f"{path.name} is {kind.words}, whatever it is called, and was read as that",)
    if kind.name == "safetensors":
        weights, passed = pass_over(_of_safetensors(path), path)
        places = dict.fromkeys(weights, path)
        return _Read(_by_name(weights), (*notes, *passed), ordered=False, places=places)
    found = find_weights(torch_saved.load(path, legacy=kind.name == "legacy torch"), path)
    torch_saved.check_tensors(path, found.weights)
    return _Read(found.weights, (*notes, *found.notes), ordered=True)


def _refusal(path: Path, kind: Kind | None) -> SVRError:
    """Why a file is not read, and what to do."""
    said = f": it is {kind.words}; {kind.advice}" if kind else ""
    called = path.suffix.lower()
    if kind is not None and kind.name == "pickle":
        return SVRError(
            f"{path} holds more than weights: it is {kind.words}, and to read that is to run what "
            f"is in it; {kind.advice}"
        )
    if (kind is None or kind.name in (*LOST, "text")) and called == ".safetensors":
        return SVRError(f"{path} is damaged, or no safetensors file{said}")
    if (kind is None or kind.name in (*LOST, "text")) and called in _PICKLED:
        return SVRError(f"{path} is damaged, or no file of torch.save{said}")
    if kind is not None and kind.name not in LOST:
        return SVRError(f"{path} is {kind.words}, not a file of weights by name; {kind.advice}")
    return SVRError(
        f"{path}: weights are read from .safetensors, {_INDEX[0]} and {', '.join(_PICKLED)}{said}; "
        "load it by its own library, and give the model or a mapping from names to weights"
    )


def _of_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            kind = (file.metadata() or {}).get("format", "")
            if kind == "svr_widget":
                raise SVRError(f"{path} is a saved SVR: SVR.load({str(path)!r}) reads it")
            if kind == "svr_widget decomposition":
                raise SVRError(f"{path} is of a cache of decompositions, and has no weights")
            if kind.startswith("svr_widget"):
                folder = str(path.parent)
                raise SVRError(f"{path} is of a recording: SVRRecorder.load({folder!r}) reads it")
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SVRError:
        raise
    except Exception as error:
        raise SVRError(f"{path} is damaged, or no safetensors file: {error}") from error


def _of_shards(index: Path) -> _Read:
    try:
        shards: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = {shard: index.parent / shard for shard in dict.fromkeys(shards.values())}
    except OSError:
        raise
    except Exception as error:
        raise SVRError(f"{index} is no index of shards: {error!r}") from error
    if not shards:
        raise SVRError(f"{index} names no weights")
    for shard, file in files.items():
        if Path(shard).name != shard:
            raise SVRError(f"{index} names the shard {shard!r}, which is not beside it")
        if not file.is_file():
            raise FileNotFoundError(f"{index} names the shard {shard!r}, and there is no {file}")
    loaded, told, places = {}, list[str](), dict[str, Path]()
    for shard, file in files.items():
        loaded[shard], notes, _, inside = _of_file(file)
        told += notes
        places |= {name: each for name, each in inside.items() if shards.get(name) == shard}
    weights: dict[str, Tensor] = {}
    for name, shard in shards.items():
        if name in loaded[shard]:
            weights[name] = loaded[shard][name]
        elif not any("passed over" in note for note in told):
            raise SVRError(f"{index} looks for {name!r} in {shard!r}, which does not hold it")
    notes = tuple(dict.fromkeys(told))
    return _Read(_by_name(weights), notes, ordered=False, places=places)


def _by_name(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """By name, numbers in them by size: safetensors files do not keep the order of the layers."""

    def key(name: str) -> list[tuple[int, int, str]]:
        return [
            (0, int(p), "") if p.isascii() and p.isdigit() else (1, 0, p)
            for p in re.split(r"(\d+)", name)
        ]

    return {name: weights[name] for name in sorted(weights, key=key)}
