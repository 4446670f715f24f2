"""Weights from a file: safetensors, whole or in shards, or a state dict that torch saved.

Nothing in a file is run: of pickles only what ``weights_only=True`` allows is read. Files are
mapped into memory, so that what is left out is never read.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from svr_widget.engine.errors import SVRError

_SHARDED = ".safetensors.index.json"
_PICKLED = (".pt", ".pth", ".bin", ".ckpt")
_INSIDE = ("state_dict", "model_state_dict", "model", "module")
"""Under which names training scripts keep the weights among other things."""


class WeightFile(NamedTuple):
    """What a file holds.

    Attributes:
        title: what to call it.
        weights: by name, in the order of the file where that says something.
        notes: what has to be said about them.
    """

    title: str
    weights: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()


def read_weights(path: Path) -> WeightFile:
    """The weights in a file, or in a folder with one safetensors file or index.

    Raises:
        FileNotFoundError: there is no such file, or a shard is missing.
        SVRError: it is damaged, of another kind, or holds no weights by name.
    """
    if path.is_dir():
        path = _only_file(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if path.name.endswith(_SHARDED):
        return WeightFile(path.parent.name, *_naturally(_of_shards(path)))
    if path.suffix == ".safetensors":
        return WeightFile(path.name, *_naturally(_of_safetensors(path)))
    if path.suffix in _PICKLED:
        return WeightFile(path.name, _of_pickle(path))
    raise SVRError(
        f"{path}: weights are read from .safetensors, {_SHARDED} and {', '.join(_PICKLED)}; load "
        "it by its own library, and give the model or a mapping from names to weights"
    )


def _only_file(folder: Path) -> Path:
    """The safetensors file of a folder, or the index of its shards."""
    for pattern in (f"*{_SHARDED}", "*.safetensors"):
        found = sorted(folder.glob(pattern))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(each.name for each in found[:4])
            raise SVRError(f"{folder} holds {len(found)} files of weights ({names}...): name one")
    raise FileNotFoundError(f"there is no safetensors file in {folder}")


def _of_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("format", "").startswith("svr"):
                raise SVRError(f"{path} is a saved SVR: SVR.load({str(path)!r}) reads it")
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise SVRError(f"{path} is damaged, or no safetensors file: {error}") from error


def _of_shards(index: Path) -> dict[str, Tensor]:
    try:
        shards: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = {shard: index.parent / shard for shard in dict.fromkeys(shards.values())}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SVRError(f"{index} is no index of shards: {error!r}") from error
    for shard, file in files.items():
        if Path(shard).name != shard:
            raise SVRError(f"{index} names the shard {shard!r}, which is not beside it")
        if not file.is_file():
            raise FileNotFoundError(f"{index} names the shard {shard!r}, and there is no {file}")
    loaded = {shard: _of_safetensors(file) for shard, file in files.items()}
    for name, shard in shards.items():
        if name not in loaded[shard]:
            raise SVRError(f"{index} looks for {name!r} in {shard!r}, which does not hold it")
    return {name: loaded[shard][name] for name, shard in shards.items()}


def _naturally(weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """By name, numbers in them by size: safetensors files do not keep the order of the layers."""

    def key(name: str) -> list[tuple[int, int, str]]:
        return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"(\d+)", name)]

    note = "the file keeps no order of its weights: a chain of them goes by name"
    return {name: weights[name] for name in sorted(weights, key=key)}, (note,)


def _of_pickle(path: Path) -> dict[str, Tensor]:
    try:
        held = _load(path)
    except pickle.UnpicklingError as error:
        raise SVRError(
            f"{path} holds more than weights, and to read that is to run what is in it. Where you "
            f"trust it, load it yourself, and give the model or its state_dict() ({_first(error)})"
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise SVRError(f"{path} is damaged, or no file of torch.save: {_first(error)}") from error
    if isinstance(held, Mapping):
        for each in (held, *(held.get(name) for name in _INSIDE)):
            if isinstance(each, Mapping) and each and _are_weights(each):
                return {str(name): weight for name, weight in each.items()}
    what = f"a mapping with {list(held)[:6]}" if isinstance(held, Mapping) else type(held).__name__
    raise SVRError(
        f"{path} holds {what}, and no weights by name; load it with torch.load(path, "
        "weights_only=True), and give SVR the part that is a state dict"
    )


def _load(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
        # Saved by a torch before 1.6, which cannot be mapped.
        return torch.load(path, map_location="cpu", weights_only=True)


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _are_weights(given: Mapping[object, object]) -> bool:
    return all(isinstance(value, Tensor) for value in given.values())
