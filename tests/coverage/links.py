"""Whether the links of an architecture are so: an experiment at the level of pairs of maps.

Nothing of the tracer takes part. The model runs once; what each map makes is cut off from what it
was made of, and then it is asked, by differentiation, what the input of each map still depends on:
the maps that feed it with no other map between them. It is asked twice, with and without the
derivative of softmax, for attention weights carry no channels. What depends on a map even without
them has to have a link, or a note; what does not depend on it even with them, nor moves where the
map's output is moved, must have none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from svr_widget import SVR
from tests.coverage.architectures.architecture import Architecture, call

Pair = tuple[str, str]
SOFTMAX = (F.softmax, torch.softmax, Tensor.softmax)
# A larger one takes minutes.
MOST_WEIGHTS = 8_000_000
MOST_MAPS = 400


class WithoutAttention(TorchFunctionMode):
    """Attention weights are constants."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            query, key, _, *mask = tree_map(_constant, args)
            return func(query, key, args[2], *mask, **tree_map(_constant, kwargs))
        result = func(*args, **kwargs)
        return result.detach() if func in SOFTMAX else result


@contextmanager
def hooked(
    model: nn.Module, names: Iterable[str], hook: Callable[[str], Callable[..., Any]]
) -> Iterator[None]:
    """Each module of these names has the forward hook that is made for its name."""
    handles = [
        model.get_submodule(name).register_forward_hook(hook(name), with_kwargs=True)
        for name in names
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def dependencies(
    model: nn.Module, names: Iterable[str], example: Any, attention: bool
) -> set[Pair]:
    """Which module's input depends on which module's output with none of them between."""
    made: list[tuple[str, Tensor]] = []
    read: list[tuple[str, Tensor]] = []

    def cut(name: str) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            inputs = [each for each in tree_leaves((args, kwargs)) if _differentiable(each)]
            read.extend((name, each) for each in inputs if each.requires_grad)

            def start(value: Any) -> Any:
                if not _differentiable(value):
                    return value
                leaf = value.detach().requires_grad_()
                made.append((name, leaf))
                return leaf.clone()  # which may be written to

            return tree_map(start, output)

        return hook

    with hooked(model, names, cut), torch.enable_grad():
        if attention:
            call(model, example)
        else:
            with WithoutAttention():
                call(model, example)
    found: set[Pair] = set()
    leaves = [leaf for _, leaf in made]
    for consumer, value in read:
        slopes = torch.autograd.grad(
            value, leaves, torch.randn_like(value), retain_graph=True, allow_unused=True
        )
        for (producer, _), slope in zip(made, slopes, strict=True):
            if slope is not None and slope.any():
                found.add((producer, consumer))
    return {(producer, consumer) for producer, consumer in found if producer != consumer}


def perturbed(
    model: nn.Module, names: Iterable[str], example: Any, pairs: Iterable[Pair]
) -> set[Pair]:
    """The pairs of which the consumer's input moves with the producer's output, all others held.

    Differentiation does not see what a model computes from detached values.
    """
    held: dict[str, list[Any]] = {name: [] for name in names}

    def run(moved: str | None, keep: bool = False) -> dict[str, list[Tensor]]:
        read: dict[str, list[Tensor]] = {name: [] for name in names}
        turn = dict.fromkeys(names, 0)
        noise = torch.Generator().manual_seed(0)

        def hook(name: str) -> Callable[..., Any]:
            def replace(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
                inputs = [each for each in tree_leaves((args, kwargs)) if _differentiable(each)]
                read[name].extend(each.detach().clone() for each in inputs)
                if keep:
                    held[name].append(tree_map(_constant, output))
                    return None
                kept, turn[name] = held[name][turn[name]], turn[name] + 1

                def value(each: Any) -> Any:
                    if name != moved or not _differentiable(each):
                        return each.clone() if isinstance(each, Tensor) else each
                    return each + torch.randn(each.shape, generator=noise).to(each)

                return tree_map(value, kept)

            return replace

        torch.manual_seed(0)
        with hooked(model, names, hook), torch.no_grad():
            call(model, example)
        return read

    run(None, keep=True)
    still = run(None)
    found: set[Pair] = set()
    for producer in {producer for producer, _ in pairs}:
        moved = run(producer)
        for _, consumer in (pair for pair in pairs if pair[0] == producer):
            both = zip(still[consumer], moved[consumer], strict=True)
            if any(not torch.equal(a, b) for a, b in both):
                found.add((producer, consumer))
    return found


def _differentiable(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype.is_floating_point


def _constant(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def check(architecture: Architecture) -> dict[str, Any]:
    """The links that are missing without a note, and those that the experiment refutes."""
    model = architecture.build().eval()
    if sum(each.numel() for each in model.parameters()) > MOST_WEIGHTS:
        return {"links": "too large to check"}
    _disturb(model)
    example = architecture.example()
    svr = SVR(model, example, attention="plain")
    if len(svr.maps) > MOST_MAPS:
        return {"links": "too large to check"}
    model = model.double()
    example = tree_map(lambda each: each.double() if _differentiable(each) else each, example)
    ends = {name for link in svr.links.values() for name in (link.producer, link.consumer)}
    place = _places(model, svr.maps, ends, example)
    names = sorted(set(place.values()))
    if "" in names:
        return {"links": "not to be checked: a map is used in the model's own forward"}
    linked = {(place[link.producer], place[link.consumer]) for link in svr.links.values()}
    linked = {pair for pair in linked if pair[0] != pair[1]}
    torch.manual_seed(0)
    certain = dependencies(model, names, example, attention=False)
    torch.manual_seed(0)
    possible = dependencies(model, names, example, attention=True)
    said = [note for note in svr.notes if note.startswith("no link") or "not used" in note]
    missing = sorted(certain - linked)
    doubtful = linked - possible
    refuted = doubtful - perturbed(model, names, example, doubtful) if doubtful else doubtful
    # Where a module around a map is cut out, what passes the map inside it is cut off as well.
    around = any(path != name.partition("[")[0] for name, path in place.items())
    return {
        "links": "checked",
        "pairs": len(linked),
        "missing": [f"{a} -> {b}" for a, b in missing if not _is_said(a, b, said)],
        "noted": len([pair for pair in missing if _is_said(*pair, said)]),
        "undecided": len(refuted) if around else 0,
        "refuted": [] if around else [f"{a} -> {b}" for a, b in sorted(refuted)],
    }


def _is_said(producer: str, consumer: str, notes: list[str]) -> bool:
    """Whether a note names either end, or leaves open whom it means."""
    ends = re.compile(rf"(?<![\w.])({re.escape(producer)}|{re.escape(consumer)})(?!\w)| more\b")
    return any(ends.search(note) for note in notes)


def _places(
    model: nn.Module, maps: Iterable[str], linked: set[str], example: Any
) -> dict[str, str]:
    """The module that each map is cut out with: its own if that is called, else one around it.

    A map that is neither called nor linked is in none: it is not used.
    """
    called: set[str] = set()
    hooks = [
        module.register_forward_hook(lambda *_, name=name: called.add(name))
        for name, module in model.named_modules()
    ]
    with torch.no_grad():
        call(model, example)
    for hook in hooks:
        hook.remove()
    place: dict[str, str] = {}
    for name in maps:
        path = name.partition("[")[0]
        if path not in called and name not in linked:
            continue
        while path and path not in called:
            path = path.rpartition(".")[0]
        place[name] = path
    inner = set(place.values())
    return {
        name: min((other for other in inner if _holds(other, path)), key=len)
        for name, path in place.items()
    }


def _holds(outer: str, path: str) -> bool:
    return path == outer or path.startswith(f"{outer}.") or not outer


def _disturb(model: nn.Module) -> None:
    """No weight is zero by initialisation: what depends on it would seem not to."""
    generator = torch.Generator().manual_seed(0)
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if value.dtype.is_floating_point and not name.endswith("running_var"):
            noise = torch.randn(value.shape, generator=generator)
            scale = value.abs().mean() if value.numel() and value.any() else 0.5
            value.data += 0.3 * scale * noise.to(value)
