"""From what was met of attention to its heads: which channels of which maps are multiplied.

A head multiplies queries with keys and carries values to the map that reads it. Singular vectors of
any one of these four matrices move when the head's basis is rotated, which changes no output; the
products of the matrices do not.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace

from svr_widget.engine.errors import listed
from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.flow import ATTENTION, Attended, Attentions, Scope
from svr_widget.engine.trace.results.arrivals import Notes, ResolvedUse, Stream
from svr_widget.engine.trace.rules.head_pairs import Pairing, between, scores_of


@dataclass(frozen=True, eq=False)
class Attention:
    """One attention of the network.

    Attributes:
        module: the name of the module that computes it.
        scores: its queries and keys.
        outputs: its values, once for each map that reads what comes out, and nothing else, there.
        rotated: queries and keys are turned by their positions; the pairs are those of equal ones.
    """

    module: str
    scores: Pairing
    outputs: tuple[Pairing, ...]
    rotated: bool

    @property
    def maps(self) -> frozenset[str]:
        """Every map of it."""
        return frozenset(name for p in (self.scores, *self.outputs) for name in p.maps)


def read_heads(
    readings: Sequence[ResolvedUse], seen: Attentions, notes: Notes, unfit: Container[str] = ()
) -> tuple[list[ResolvedUse], tuple[Attention, ...]]:
    """The attentions of a network, and its readings without the values that they account for.

    An attention whose heads compute no product of two matrices is left as it is, with a note.

    Args:
        readings: every use of a map.
        seen: what was met of attention.
        notes: receives what is left as it is, and why.
        unfit: maps that are no plain matrices.
    """
    plain: dict[str, str] = {}
    for scope, why in seen.refused:
        plain.setdefault(_where(scope), why)
    apart: dict[str, str] = {}
    read: list[tuple[Attention, Scope, list[Stream]]] = []
    for attended in seen.attended:
        scores, rotated = scores_of(attended)
        outputs, taken = [], []
        for reading in readings:
            for stream in _outputs(reading, attended, apart):
                taken.append(stream)
                outputs.append(_output(reading, stream))
        attention = Attention(attended.scope.module, scores, tuple(outputs), rotated)
        read.append((attention, attended.scope, taken))
    found: list[Attention] = []
    gone: set[Stream] = set()
    why_not = _why_not([attention for attention, _, _ in read], unfit)
    for (attention, scope, taken), why in zip(read, why_not, strict=True):
        if why:
            plain.setdefault(_where(scope), why)
        else:
            found.append(attention)
            gone.update(taken)
    weighed = notes.weighed.get(ATTENTION, {})
    for attention in found:
        for name in attention.scores.maps:
            weighed.pop(name, None)
    if not weighed:
        notes.weighed.pop(ATTENTION, None)
    known = {scored for attended in seen.attended for scored in attended.scored}
    for scored in seen.scored:
        where = _where(scored.scope)
        if scored not in known and where not in plain and not scored.sources.isdisjoint(weighed):
            plain[where] = (
                f"how its weights come from the products of {_listed(scored.sources)} cannot be "
                "followed"
            )
    _say(notes, plain, apart)
    rest = [
        replace(reading, streams=tuple(s for s in reading.streams if s not in gone))
        for reading in readings
    ]
    return rest, tuple(found)


def _why_not(attentions: Sequence[Attention], unfit: Container[str]) -> list[str]:
    """For each attention why its heads are no products after all; empty where they are."""
    read = {output.left for attention in attentions for output in attention.outputs}
    made = {name for attention in attentions for name in attention.scores.maps}
    made |= {output.right for attention in attentions for output in attention.outputs}
    reasons = []
    for attention in attentions:
        names = sorted(attention.maps)
        both = next((name for name in names if name in read and name in made), None)
        kernel = next((name for name in names if name in unfit), None)
        if both is not None:
            reasons.append(f"{both!r} reads heads and makes others")
        elif kernel is not None:
            reasons.append(f"{kernel!r} has a kernel or groups")
        else:
            reasons.append("")
    return reasons


# Values.


def _outputs(reading: ResolvedUse, attended: Attended, apart: dict[str, str]) -> Iterable[Stream]:
    """The streams of a reading by which a map reads what the heads put out, and nothing else."""
    for stream in reading.streams:
        if stream.attended is not attended:
            continue
        steps = between((*attended.values, stream), attended.entry)
        if len(attended.values) > 1 or steps or reading.place is not None:
            what = ", ".join(steps) or ("a sum" if reading.place is None else "a move of positions")
            apart[f"{reading.use.name!r} and {stream.source.name!r}"] = what
            continue
        here = stream.label != labels.NONE
        beside = [other.label != labels.NONE for other in reading.streams if not other.attended]
        # A stream that others write into as well has a basis of its own.
        if not any(bool((here & there).any()) for there in beside):
            yield stream


def _output(reading: ResolvedUse, stream: Stream) -> Pairing:
    assert stream.heads is not None
    pairs = []
    for head in labels.present(stream.heads):
        features = (stream.heads == head).nonzero().flatten()
        pairs.append((features, stream.label[features]))
    return Pairing(reading.use.name, stream.source.name, tuple(pairs))


# Words.


def _say(notes: Notes, plain: Mapping[str, str], apart: Mapping[str, str]) -> None:
    """Notes on attentions that are shown plain, and on values that meet their map plain."""
    if plain:
        which = listed([f"{where}: {why}" for where, why in plain.items()], shown=2)
        notes.add(
            f"{_count(plain, 'attention')} shown plain, for the heads compute no product of two "
            f"matrices: {which}"
        )
    if apart:
        which = listed([f"{pair} ({what})" for pair, what in apart.items()], shown=2)
        notes.add(
            f"{_count(apart, 'value map')} shown plain with the map that reads it, for something "
            f"stands between the two beside the attention: {which}"
        )


def _count(of: Sized, noun: str) -> str:
    return f"1 {noun} is" if len(of) == 1 else f"{len(of)} {noun}s are"


def _where(scope: Scope) -> str:
    return f"{scope.module!r} ({scope.kind})" if scope.module else f"the model's own ({scope.kind})"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
