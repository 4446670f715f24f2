"""Files as disks, downloads and liars leave them, and what becomes of whoever reads them.

Run as a program it spoils some hundred files of each format, reads each in a process whose memory
is bounded, and prints how that ended; so a hang, a crash or a greedy allocation is an outcome too.
"""

from __future__ import annotations

import json
import pickle
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from svr_widget import SVR, SVRRecorder
from svr_widget.engine.errors import SVRError

SECONDS = 20
"""After which an attempt counts as a hang."""

BYTES = 3 * 2**30
"""What a process may map beyond what it has when it begins."""

DEEP = "deep"
"""Stands for lists in lists, ten thousand deep, which no writer of JSON writes."""

HOSTILE: tuple[Any, ...] = (
    *(-1, 0, 1, 3, 10**12, 2**63, 10**400, 1.5, float("nan"), float("inf")),
    *("", "x", None, True, [], {}, [[]], [-1, 10**12], [10**6, 10**7], {"is": "Popen"}, DEEP),
)


# Bytes.


def spoilt_bytes(content: bytes, chance: random.Random) -> bytes:
    """Bits flipped, cut off, zeroed, swapped or put in."""
    held = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 3))):
        at, other = sorted(chance.randrange(len(held) + 1) for _ in range(2))
        match chance.randrange(6):
            case 0 | 1:
                place = chance.randrange(chance.choice((len(held), min(len(held), 400))) or 1)
                if held:
                    held[place] ^= 1 << chance.randrange(8)
            case 2:
                del held[at:]
            case 3:
                held[at:other] = bytes(other - at)
            case 4:
                length = min(other - at, len(held) - other, 64)
                one, two = held[at : at + length], held[other : other + length]
                held[at : at + length], held[other : other + length] = two, one
            case _:
                held[at:at] = chance.randbytes(chance.randrange(1, 40))
    return bytes(held)


# JSON.


def spoilt_json(record: Any, chance: random.Random) -> Any:
    """With a value somewhere in it replaced, taken away, repeated or put elsewhere."""
    record = json.loads(json.dumps(record))
    places: list[tuple[Any, Any]] = []

    def collect(value: Any) -> None:
        for key in value if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                collect(value[key])

    collect(record)
    inside, key = chance.choice(places)
    other, from_key = chance.choice(places)
    match chance.randrange(6):
        case 0 | 1 | 2:
            inside[key] = chance.choice(HOSTILE)
        case 3:
            inside[key] = json.loads(json.dumps(other[from_key]))
        case 4:
            del inside[key]
        case _:
            if isinstance(inside, list):
                inside.insert(key, json.loads(json.dumps(inside[key])))
            else:
                inside["more"] = inside[key]
    return record


def as_text(record: Any) -> str:
    """As JSON, with what stands for a deep value written out."""
    return json.dumps(record).replace(f'"{DEEP}"', "[" * 10_000 + "]" * 10_000)


def parts(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Metadata and tensors of a safetensors file."""
    with safe_open(path, framework="pt") as file:
        names = sorted(file.keys())
        return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in names}


def with_sums(record: Any, tensors: dict[str, torch.Tensor]) -> dict[str, str]:
    """What in the metadata of our files vouches for the rest: a liar computes it too."""
    if isinstance(record, dict) and isinstance(record.get("sums"), dict):
        for name in record["sums"].keys() & tensors.keys():
            content = tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes()
            record["sums"][name] = zlib.crc32(content)
    text = as_text(record)
    return {"svr": text, "sum": str(zlib.crc32(text.encode()))}


def lying(path: Path, chance: random.Random) -> None:
    """Another record, other numbers or another header, all check sums right."""
    metadata, tensors = parts(path)
    match chance.randrange(4):
        case 0:
            name = chance.choice(sorted(tensors))
            tensors[name] = other_numbers(tensors[name], chance)
            metadata |= with_sums(json.loads(metadata["svr"]), tensors)
            save_file(tensors, path, metadata)
        case 1:
            path.write_bytes(spoilt_header(path.read_bytes(), chance))
        case _:
            record = spoilt_json(json.loads(metadata["svr"]), chance)
            metadata |= with_sums(record, tensors)
            save_file(tensors, path, metadata)


def other_numbers(tensor: torch.Tensor, chance: random.Random) -> torch.Tensor:
    """A tensor with an entry, a dimension or a type that it should not have."""
    changed = tensor.clone()
    match chance.randrange(4):
        case 0 | 1 if changed.numel():
            values = [-1, 10**9, 2**62, 3] if not changed.is_floating_point() else []
            values += (
                [float("nan"), float("inf"), -1.0, 1e30] if changed.is_floating_point() else []
            )
            value = chance.choice(values)
            if changed.dtype == torch.bool:
                value = value > 0
            changed.reshape(-1)[chance.randrange(changed.numel())] = value
            return changed
        case 2:
            return changed.reshape(-1)[: changed.numel() // 2].clone()
        case _:
            other = chance.choice((torch.float32, torch.float64, torch.int64, torch.uint8))
            return changed.to(other)


def spoilt_header(content: bytes, chance: random.Random) -> bytes:
    """A safetensors file whose header says something else of its tensors."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    kept = {"__metadata__": header.pop("__metadata__")} if "__metadata__" in header else {}
    text = as_text({**kept, **spoilt_json(header, chance)}).encode()
    if chance.random() < 0.1:
        return struct.pack("<Q", chance.choice((0, 2**40, 2**63, 99_000_000))) + content[8:]
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


# Formats: how a whole one is made, spoilt and read.


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3)
    )


def used(svr: SVR) -> None:
    """What people do with an SVR."""
    repr(svr)
    svr.neurons()
    svr.edges(p=0.5)


def saved(path: Path) -> None:
    SVR(network(), torch.zeros(1, 2, 4, 4)).save(path / "file")


def recorded(path: Path) -> None:
    model = network()
    recorder = SVRRecorder(model, 1, path / "run", example_inputs=torch.zeros(1, 2, 4, 4))
    recorder.step(loss=1.0)
    recorder.step("named", loss=2.0)


def read_recording(path: Path) -> list[SVR]:
    recording = SVRRecorder.load(path / "run")
    assert len(recording) >= 1
    repr(recording)
    recording.history()
    return list(recording)[1:2]


def pickled(path: Path) -> None:
    _, (_, content) = SVR(network(), torch.zeros(1, 2, 4, 4)).__reduce__()
    (path / "file").write_bytes(content)


def unpickled(path: Path) -> list[SVR]:
    function = SVR.__reduce__(SVR([torch.eye(2)]))[0]
    return [function(SVR, (path / "file").read_bytes())]


def sharded(path: Path) -> None:
    state = network().state_dict()
    save_file(state, path / "a.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(state, "a.safetensors")}
    (path / "m.safetensors.index.json").write_text(json.dumps(index))


def spoil_index(path: Path, chance: random.Random) -> None:
    if chance.random() < 0.6:
        path.write_text(as_text(spoilt_json(json.loads(path.read_text()), chance)))
    else:
        path.write_bytes(spoilt_bytes(path.read_bytes(), chance))


def spoil(path: Path, chance: random.Random) -> None:
    path.write_bytes(spoilt_bytes(path.read_bytes(), chance))


def spoil_ours(path: Path, chance: random.Random) -> None:
    if chance.random() < 0.7:
        lying(path, chance)
    else:
        spoil(path, chance)


def spoil_safetensors(path: Path, chance: random.Random) -> None:
    if chance.random() < 0.5:
        path.write_bytes(spoilt_header(path.read_bytes(), chance))
    else:
        spoil(path, chance)


def weights(name: str, write: Callable[[dict[str, torch.Tensor], Path], object]) -> Any:
    return (
        lambda path: write(network().state_dict(), path / name),
        name,
        spoil,
        lambda path: [SVR(path / name)],
    )


FORMATS: dict[str, tuple[Any, str, Any, Any]] = {
    "saved SVR": (saved, "file", spoil_ours, lambda path: [SVR.load(path / "file")]),
    "pickled SVR": (pickled, "file", spoil_ours, unpickled),
    "checkpoint": (recorded, "run/step-000000001.safetensors", spoil_ours, read_recording),
    "network of a recording": (recorded, "run/network.safetensors", spoil_ours, read_recording),
    "safetensors": (
        lambda path: save_file(network().state_dict(), path / "w.safetensors"),
        "w.safetensors",
        spoil_safetensors,
        lambda path: [SVR(path / "w.safetensors")],
    ),
    "index of shards": (
        sharded,
        "m.safetensors.index.json",
        spoil_index,
        lambda path: [SVR(path / "m.safetensors.index.json")],
    ),
    "torch.save": weights("w.pt", torch.save),
    "torch.save before 1.6": weights(
        "w.pth", lambda held, path: torch.save(held, path, _use_new_zipfile_serialization=False)
    ),
    "plain pickle": weights("w.bin", lambda held, path: path.write_bytes(pickle.dumps(held))),
}


def outcomes(name: str, count: int) -> Counter[str]:
    """How reading ended: ``"right"``, ``"refused"``, or the type of what should not be raised."""
    write, file, change, read = FORMATS[name]
    ended: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        whole, tried = Path(folder) / "whole", Path(folder) / "tried"
        whole.mkdir()
        write(whole)
        for seed in range(count):
            shutil.copytree(whole, tried)
            change(tried / file, random.Random(f"{name} {seed}"))
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            svrs = None
            try:
                svrs = read(tried)
                for svr in svrs:
                    used(svr)
                ended["right"] += 1
            except (SVRError, FileNotFoundError) as error:
                named = any(part in str(error) for part in (str(tried), "the pickle"))
                # Of weights it is said that they are no network; a graph knows no file any more.
                of_weights = type(error) is not SVRError
                fits = named or of_weights or svrs is not None
                ended["refused" if fits else "refused, no word of the file"] += 1
                if not fits and "-v" in sys.argv:
                    print(name, seed, str(error)[:200], file=sys.stderr)
            except BaseException as error:
                ended[type(error).__name__] += 1
                if "-v" in sys.argv:
                    print(name, seed, type(error).__name__, str(error)[:200], file=sys.stderr)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                shutil.rmtree(tried)
    return ended


def _hangs(*_: object) -> None:
    raise TimeoutError("hangs")


def main() -> None:
    """Print the outcomes by format, and the growth of this process in megabytes."""
    count = int(sys.argv[1])
    chosen = [name for name in sys.argv[2:] if name in FORMATS] or list(FORMATS)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _hangs)
    used(SVR([torch.eye(3)]))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found: dict[str, Any] = {name: outcomes(name, count) for name in chosen}
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"outcomes": found, "megabytes": grown}))


if __name__ == "__main__":
    main()
