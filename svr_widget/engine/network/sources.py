"""From what the caller has, a model, weights or a file of them, to maps and links."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import shorten

import torch
from torch import Tensor, nn

from svr_widget.engine.environment.mapped_files import MappedFiles
from svr_widget.engine.errors import (
    NoMapsError,
    NonFiniteWeightsError,
    SVRError,
    TraceError,
    WidthMismatchError,
    listed,
)
from svr_widget.engine.maps.links import Layout, Link
from svr_widget.engine.model.example_inputs import taken_example
from svr_widget.engine.model.find_maps import (
    Globs,
    Selection,
    excluded_modules,
    find_parts,
    globs,
    unwrap,
)
from svr_widget.engine.network.bare_weights.given import BareWeights, of_file, of_list, of_mapping
from svr_widget.engine.network.bare_weights.network_of_weights import network_of_weights
from svr_widget.engine.network.bare_weights.orientation import NonFinite
from svr_widget.engine.network.checkpoints.together import together
from svr_widget.engine.network.filling import described, filled
from svr_widget.engine.network.head_products import AttentionView
from svr_widget.engine.network.network import MapReader, Network, TracedModel
from svr_widget.engine.network.norms.folding import Normalisation
from svr_widget.engine.network.pairs import GivenLinks, check_names, claimed, links_from_pairs
from svr_widget.engine.trace import trace
from svr_widget.engine.trace.results.heads import Attention
from svr_widget.engine.trace.results.meetings import Meetings

Weights = str | os.PathLike[str] | Mapping[str, object] | None
"""A file, a folder or a mapping of weights for a model."""


def read_network(
    source: object,
    example_inputs: object = None,
    links: GivenLinks | None = None,
    include: Globs = None,
    exclude: Globs = None,
    attention: AttentionView = "products",
    norm: Normalisation = "ignore",
    *,
    weights: Weights = None,
    meetings: bool = False,
    run_live: bool = False,
    non_finite: NonFinite = "refuse",
) -> Network:
    """The network behind whatever ``SVR`` was given; a ``Network`` is one already.

    Raises:
        TypeError: a source of another kind, or example inputs for bare weights.
        SVRError: the source cannot be used; the message names the culprit.
    """
    given = claimed(links)
    if isinstance(source, Network):
        return source
    unmade = ""
    if isinstance(source, str | os.PathLike) and weights is None and given is None:
        skeleton = described(Path(source))
        unmade = skeleton.note
        if skeleton.model is not None:
            try:
                return read_network(
                    skeleton.model,
                    example_inputs,
                    None,
                    include,
                    exclude,
                    attention,
                    norm,
                    weights=source,
                    meetings=meetings,
                    non_finite=non_finite,
                )
            except (NoMapsError, TraceError, WidthMismatchError) as error:
                chosen = (example_inputs, include, exclude) != (None, None, None)
                if chosen or norm == "fold":  # which are of the model
                    raise
                unmade = _unmade(error)
    if norm == "fold" and (given is not None or not isinstance(source, nn.Module)):
        raise SVRError(
            "norm='fold' reads the norms off a model as it is traced: give the nn.Module itself, "
            "without links=, or use norm='ignore'"
        )
    if isinstance(source, nn.Module):
        if isinstance(given, str):
            raise SVRError(
                'links="chain" is for a mapping or a file of weights, which say nothing about it; '
                "the links of a model are read off it where links= is left out, or given as "
                "links=[(producer, consumer), ...]"
            )
        pairs = given
        full = None if weights is None else filled(source, weights, exclude)
        model = source if full is None else full.model
        missing = () if full is None else full.without
        told = () if full is None else full.notes

        def without(left_out: Globs) -> Network:
            return _of_model(
                model,
                example_inputs,
                pairs,
                include,
                [*globs(left_out), *missing],
                attention,
                norm,
                meetings,
                run_live,
                files=None if full is None else full.files,
            )

        try:
            network = without(exclude)
            return replace(network, run_live=run_live, notes=(*network.notes, *told))
        except NonFiniteWeightsError:
            if non_finite == "refuse":
                raise
            damaged = _damaged(model, include, [*globs(exclude), *missing])
            network = without([*globs(exclude), *damaged])
            notes = (*network.notes, *told, *damaged.values())
            return replace(network, run_live=run_live, damaged=damaged, notes=notes)
    if weights is not None:
        raise TypeError(
            f"weights= fills an nn.Module, and the source is a {type(source).__name__}; give the "
            "file or the mapping itself as the source, or the model that belongs to it"
        )
    if example_inputs is not None:
        raise TypeError("example_inputs belong to an nn.Module; bare weights are not run")
    try:
        bare = _bare(source)
        path = Path(source) if isinstance(source, str | os.PathLike) else None
        whole = together(bare.named, Selection(include, exclude), path)
        notes = (*filter(None, [unmade]), *bare.notes, *whole.notes)
        bare = bare.with_weights(whole.weights, notes)
        return network_of_weights(bare, given, include, exclude, non_finite)
    except (OSError, SVRError, MemoryError):
        raise
    except Exception as error:
        if isinstance(source, str | os.PathLike):
            raise SVRError(f"{os.fspath(source)} cannot be read: {error!r}") from error
        raise


def _unmade(error: SVRError) -> str:
    """Why the model that a configuration describes is not the one that is shown."""
    said = shorten(str(error), 200, placeholder=" ...")
    what = "the model of config.json and its weights do not fit"
    if isinstance(error, TraceError):
        what = "the model of config.json could not be run on its own: give SVR example_inputs=..."
    return f"{what}; the weights are shown without links ({said})"


def _bare(source: object) -> BareWeights:
    """The weights in whatever is no model."""
    if isinstance(source, str | os.PathLike):
        return of_file(Path(source))
    if isinstance(source, Mapping):
        return of_mapping(source)
    if isinstance(source, Sequence) and not isinstance(source, bytes):
        return of_list(source)
    raise TypeError(
        "SVR takes an nn.Module, a list of weights, a mapping from names to weights or the path "
        f"of a file of them, not {type(source).__name__}"
    )


def _damaged(model: nn.Module, include: Globs, exclude: Globs) -> dict[str, str]:
    """The maps of a model that have NaN or infinite entries, with words for each.

    Raises:
        NonFiniteWeightsError: all of them have.
    """
    found = {}
    parts = find_parts(unwrap(model), include, exclude).parts
    for name, part in parts.items():
        try:
            part.weight()
        except NonFiniteWeightsError as error:
            found[name] = str(error)
    own = find_parts(unwrap(model), include, exclude).own
    for name, parameter in own.items():
        broken = int((~torch.isfinite(parameter.value)).sum())
        if broken:
            found[name] = f"{name!r} has {broken} NaN or infinite entries, and is left out"
    if parts and len(found) == len(parts) + len(own):
        raise NonFiniteWeightsError(next(iter(found.values())))
    return found


def _of_model(
    model: nn.Module,
    example_inputs: object,
    links: Sequence[tuple[str, str] | Link] | None,
    include: Globs,
    exclude: Globs,
    attention: AttentionView,
    norm: Normalisation,
    meetings: bool,
    run_live: bool,
    files: MappedFiles | None,
) -> Network:
    model = unwrap(model)
    found_parts = find_parts(model, include, exclude)
    parts = found_parts.parts
    outputs: Mapping[str, Layout] = {}
    ends: tuple[Link, ...] = ()
    notes: tuple[str, ...] = ()
    order = tuple(parts)
    attentions: Sequence[Attention] = ()
    rank: Mapping[str, int] = {}
    computed: Mapping[str, Tensor] = {}
    example = None
    if example_inputs is not None:
        example = taken_example(model, parts, example_inputs, run_live)
        notes = (example.origin,) if example.origin else ()
    met: Meetings | None = None
    if links is None:
        heads = attention == "products"
        traced = trace(
            model,
            parts,
            example,
            heads=heads,
            meetings=meetings,
            own=found_parts.own,
            walls=excluded_modules(model, exclude),
            live=run_live,
        )
        chosen = {
            name: part
            for name, part in traced.own.items()
            if found_parts.chosen(name, f"{part.path}.{part.parameter}".lstrip("."))
        }
        traced = traced.without(traced.own.keys() - chosen.keys())
        parts = {**parts, **chosen}
        found, notes = traced.links, traced.notes
        inputs, outputs, ends = traced.input_layouts, traced.output_layouts, traced.ends
        order = tuple(dict.fromkeys((*traced.order, *order)))
        attentions, rank, computed = traced.attentions, traced.rank, traced.computed
        example, met = traced.example, traced.meetings
    else:
        found_parts.check()
        notes = tuple(_left_out(found_parts.own))
        pairs = [link for link in links if not isinstance(link, Link)]
        made, inputs = links_from_pairs(pairs, parts)
        found = (*made, *(link for link in links if isinstance(link, Link)))
    check_names(found, order)
    reading = MapReader({name: parts[name] for name in order}, inputs, outputs, computed, files)
    whole = reading.matrices(let_go=True)
    traced_model = TracedModel(
        model, parts, reading, whole, found, ends, attentions, rank, notes, example, met
    )
    network = traced_model.network(norm)
    return network if links is None else replace(network, traced=None)


def _left_out(own: Iterable[str]) -> Iterator[str]:
    if names := [repr(name) for name in sorted(own)]:
        yield (
            "links by hand, for which nothing is run, so that parameters of no known layer are no "
            f"maps: {listed(names, 2)}"
        )
