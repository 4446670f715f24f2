"""Which names of two networks, or of a network and a file, are of the same thing.

Wrappers add to names: ``DataParallel`` and averaged models ``module.``, ``torch.compile``
``_orig_mod.``, FSDP ``_fsdp_wrapped_module.``, peft ``base_model.model.``, training libraries
``model.`` or the like before all of them. What they add is taken away on both sides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_WITHIN = re.compile(
    r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|base_layer)"
    r"(?:\.|$)"
)
_AROUND = ("module.", "base_model.model.")


class Pairing(NamedTuple):
    """Which names belong together.

    Attributes:
        pairs: from the names on one side to those on the other.
        added: what else than wrappers the one side puts before its names, and the other side.
        undecided: what it may be, where several are as likely.
    """

    pairs: dict[str, str]
    added: tuple[str, str] = ("", "")
    undecided: tuple[str, ...] = ()


def bare(name: str) -> str:
    """A name without what wrappers add to it.

    ``"_orig_mod.module.layers.0.weight"`` is ``"layers.0.weight"``.
    """
    name = _WITHIN.sub("", name).removesuffix(".")
    while around := next((each for each in _AROUND if name.startswith(each)), ""):
        name = name.removeprefix(around)
    return name


def paired(mine: Mapping[str, object], theirs: Mapping[str, object]) -> Pairing:
    """Pair names that are equal, or are so without what wrappers or one side as a whole add.

    Args:
        mine: names on one side, with what is equal where two things can be the same.
        theirs: those on the other side.
    """
    pairs = {name: name for name in mine if name in theirs}
    left = _bare(name for name in mine if name not in pairs)
    right = _bare(name for name in theirs if name not in pairs)
    pairs |= {left[name]: right[name] for name in left if name in right}
    left = {name: full for name, full in left.items() if full not in pairs}
    taken = set(pairs.values())
    right = {name: full for name, full in right.items() if full not in taken}
    fitting = sum(mine[name] == theirs[other] for name, other in pairs.items())
    shifts = [
        *((count, prefix, True) for prefix, count in _shifts(left, right, mine, theirs)),
        *((count, prefix, False) for prefix, count in _shifts(right, left, theirs, mine)),
    ]
    most = max((count for count, _, _ in shifts), default=0)
    if most < max(fitting, 1):
        return Pairing(_in_order(pairs, mine))
    best = [(prefix, added_to_mine) for count, prefix, added_to_mine in shifts if count == most]
    if len(best) > 1:
        undecided = tuple(prefix for prefix, _ in best)
        return Pairing(_in_order(pairs, mine), undecided=undecided)
    ((prefix, added_to_mine),) = best
    for name, full in left.items():
        other = name.removeprefix(prefix) if added_to_mine else prefix + name
        if other in right and other != name:
            pairs[full] = right[other]
    return Pairing(_in_order(pairs, mine), (prefix, "") if added_to_mine else ("", prefix))


def _bare(names: Iterable[str]) -> dict[str, str]:
    """Names by what is left of them, as far as that is of one alone."""
    short = {name: bare(name) for name in names}
    count = Counter(short.values())
    return {each if count[each] == 1 else name: name for name, each in short.items()}


def _shifts(
    longer: Mapping[str, str],
    shorter: Mapping[str, str],
    of_longer: Mapping[str, object],
    of_shorter: Mapping[str, object],
) -> list[tuple[str, int]]:
    """What may have been put before the names of one side, and how many it would pair."""
    found: Counter[str] = Counter()
    for name, full in longer.items():
        for dot in re.finditer(r"\.", name):
            rest = name[dot.end() :]
            if rest in shorter and of_longer[full] == of_shorter[shorter[rest]]:
                found[name[: dot.end()]] += 1
    return list(found.items())


def _in_order(pairs: Mapping[str, str], mine: Iterable[str]) -> dict[str, str]:
    return {name: pairs[name] for name in mine if name in pairs}
