"""Files of ``torch.save``, read without running what is in them or trusting their sizes."""

from __future__ import annotations

import importlib
import pickle
import pickletools
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from svr_widget.engine.errors import SVRError
from svr_widget.engine.network.checkpoints.formats import WHERE_IT_WAS_MADE

DEFLATION = 1032
"""How many bytes deflate makes of one at most."""

_DISTRIBUTED = "torch.distributed.tensor"

EXPANSION = 100
"""How many times the size of its file a sparse or expanded tensor may take when it is dense."""

_SAVED = WHERE_IT_WAS_MADE.format("torch.save(model.state_dict(), 'weights.pt')")

_GATHERED = WHERE_IT_WAS_MADE.format(
    "torch.save(get_model_state_dict(model, options=StateDictOptions(full_state_dict=True)), "
    "'weights.pt'), both names from torch.distributed.checkpoint.state_dict"
)
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)|but got <class '([\w.]+)'>")


def load(path: Path, *, legacy: bool) -> object:
    """What ``torch.save`` wrote, on the CPU.

    Args:
        path: of the file.
        legacy: it is of a torch before 1.6, or of one that was told to write so.

    Raises:
        SVRError: it is damaged, claims more than the file holds, or holds more than weights.
    """
    try:
        packed = _check_legacy(path) if legacy else _check_archive(path)
        # What is packed cannot be mapped, and torch takes this suffix for the other format.
        if packed or path.suffix == ".safetensors":
            with path.open("rb") as file:
                return _loaded(file, mapped=False)
        return _loaded(path, mapped=True)
    except SVRError:
        raise
    except pickle.UnpicklingError as error:
        saved = _SAVED
        if found := _GLOBAL.search(str(error)):
            what = found[1] or found[2]
            saved = _GATHERED if what.startswith("torch.distributed.") else saved
            raise SVRError(
                f"{path} holds more than weights ({what}), and to read that is to run what is in "
                f"it: {saved}"
            ) from error
        if "operand" in str(error) and not legacy:  # an archive vouches for its pickle by a sum
            raise SVRError(
                f"{path} was saved by another pickle_protocol than torch.save's own, and to read "
                f"that is to run what is in it: {saved}"
            ) from error
        raise SVRError(f"{path} is damaged, or no file of torch.save") from error
    except Exception as error:
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise SVRError(f"{path} is damaged, or no file of torch.save: {said}") from error


def check_tensors(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Raise ``SVRError`` for tensors that claim far more than the file has, or point outside."""
    size = path.stat().st_size
    for name, tensor in weights.items():
        if tensor.is_meta:
            raise SVRError(f"{path}: {name!r} has a shape and no values (it is on the meta device)")
        held = tensor.untyped_storage().nbytes() if tensor.layout == torch.strided else 0
        if tensor.numel() * tensor.element_size() > max(held, EXPANSION * size):
            raise SVRError(
                f"{path}: {name!r} claims {tensor.numel():,} entries, which a file of {size:,} "
                "bytes does not hold"
            )
        try:
            _check_sparse(tensor)
        except Exception as error:
            raise SVRError(f"{path} is damaged: the sparse {name!r} is none: {error}") from error


def _check_sparse(tensor: Tensor) -> None:
    """Make a sparse tensor anew with the checks that torch leaves out, lest it write anywhere."""
    size = tensor.shape
    if tensor.layout == torch.sparse_coo:
        indices, values = tensor._indices(), tensor._values()
        torch.sparse_coo_tensor(indices, values, size, check_invariants=True)
    elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        rows, columns = tensor.crow_indices(), tensor.col_indices()
        torch.sparse_compressed_tensor(
            rows, columns, tensor.values(), size, layout=tensor.layout, check_invariants=True
        )
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        columns, rows = tensor.ccol_indices(), tensor.row_indices()
        torch.sparse_compressed_tensor(
            columns, rows, tensor.values(), size, layout=tensor.layout, check_invariants=True
        )


def _loaded(file: Path | BinaryIO, *, mapped: bool) -> object:
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        if "torch.distributed.tensor" not in str(error) or _DISTRIBUTED in sys.modules:
            raise
        importlib.import_module(_DISTRIBUTED)  # which tells torch.load that a DTensor is a tensor
        if not isinstance(file, Path):
            file.seek(0)
        return torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)


def _check_archive(path: Path) -> bool:
    """Check what the list of an archive claims; whether anything in it is packed."""
    size, held = path.stat().st_size, 0
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            packed = member.compress_type != zipfile.ZIP_STORED
            held += member.compress_size
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise SVRError(
                    f"{path} is packed in a way that torch does not read ({member.filename!r}); "
                    f"{_SAVED}"
                )
            most = member.compress_size * (DEFLATION if packed else 1)
            if held > size or member.file_size > most:
                raise SVRError(
                    f"{path} is damaged: {member.filename!r} claims {member.file_size:,} bytes"
                )
        return any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist())


def _check_legacy(path: Path) -> bool:
    """Check how many entries the storages of an old file claim; it cannot be mapped."""
    size = path.stat().st_size
    with path.open("rb") as file:
        for _ in range(4):  # a number, the version, the system, and what was saved
            for entries in _claims(file):
                if not 0 <= entries <= size:
                    raise SVRError(
                        f"{path} is damaged: a storage claims {entries:,} entries in a file of "
                        f"{size:,} bytes"
                    )
    return True


def _claims(file: BinaryIO) -> Iterator[int]:
    """The numbers in the descriptions of storages in a pickle, of which nothing is run."""
    within = False
    for operation, argument, _ in pickletools.genops(file):
        if argument == "storage":
            within = True
        elif "PERSID" in operation.name:
            within = False
        elif within and isinstance(argument, int) and not operation.name.endswith(("PUT", "GET")):
            yield argument
