"""What is printed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

OUTCOMES = ("silent", "notes", "refused", "crashed", "did not build")
HEADS = ("silently", "with notes", "refused", "crashed", "did not build")


def share(results: Iterable[Mapping[str, Any]]) -> float:
    """How much of what was built has become a graph."""
    counts = Counter(result["outcome"] for result in results)
    graphs = counts["silent"] + counts["notes"]
    built = counts.total() - counts["did not build"]
    return graphs / built if built else 0.0


def table(results: Iterable[Mapping[str, Any]]) -> str:
    """By library, by cause, and the slowest."""
    results = list(results)
    libraries = sorted({result["name"].partition("/")[0] for result in results})
    counts = Counter((r["name"].partition("/")[0], r["outcome"]) for r in results)
    lines = ["| library | " + " | ".join(HEADS) + " | all |", "| --- |" + " ---: |" * 6]
    for library in libraries:
        row = [counts[library, outcome] for outcome in OUTCOMES]
        lines.append(f"| {library} | {' | '.join(map(str, [*row, sum(row)]))} |")
    row = [sum(counts[library, outcome] for library in libraries) for outcome in OUTCOMES]
    lines.append(f"| all | {' | '.join(map(str, [*row, sum(row)]))} |")
    lines.append(f"\n{share(results):.1%} of what was built became a graph.")
    for outcome in ("refused", "crashed", "did not build"):
        lines += _causes(outcome, [r for r in results if r["outcome"] == outcome])
    empty = [r["name"] for r in results if r.get("links") == 0]
    if empty:
        lines.append(f"\nGraphs without a link: {', '.join(empty)}")
    slowest = sorted((r for r in results if "seconds" in r), key=lambda r: -r["seconds"])[:10]
    lines.append("\nSlowest constructions, in seconds of a processor:")
    lines += [f"{r['seconds']:7.1f}  {r['name']} ({r['weights']:,} weights)" for r in slowest]
    return "\n".join(lines)


def links_table(results: Iterable[Mapping[str, Any]]) -> str:
    """What the experiment says of the links."""
    results = list(results)
    kinds = Counter(result["links"] for result in results)
    lines = [f"{count:4}  {kind}" for kind, count in kinds.most_common()]
    pairs = sum(result.get("pairs", 0) for result in results)
    noted = sum(result.get("noted", 0) for result in results)
    undecided = sum(result.get("undecided", 0) for result in results)
    lines.append(
        f"{pairs:,} pairs of maps are linked; {noted:,} more depend, with a note; {undecided:,} "
        "links cannot be decided, for what is cut out there is more than the map."
    )
    for kind in ("missing", "refuted"):
        found = [result for result in results if result.get(kind)]
        lines.append(f"\n{kind.capitalize()} links: {len(found)} architectures")
        for result in found:
            pairs_of = result[kind]
            lines.append(f"        {result['name']}: {len(pairs_of)}, such as {pairs_of[0]}")
    return "\n".join(lines)


def _causes(outcome: str, results: list[Mapping[str, Any]]) -> list[str]:
    kinds = defaultdict(list)
    for result in results:
        kinds[cause(result.get("message", ""))].append(result)
    lines = [f"\n{outcome.capitalize()}, by cause:"] if kinds else []
    for kind, found in sorted(kinds.items(), key=lambda item: -len(item[1])):
        lines.append(f"{len(found):4}  {kind}")
        lines += [f"        {result['name']}" for result in found]
    return lines


def cause(message: str) -> str:
    """A message without what is of one model only: names, classes, shapes."""
    message = re.sub(r"(?<=Error: )\S+ (?=\()", "_ ", message)
    message = re.sub(r"'[^']*'|\"[^\"]*\"", "_", message)
    message = re.sub(r"\((?:[^()]|\([^()]*\))*\)", "", message)
    message = re.sub(r"\b\w*[A-Z]\w*[A-Z]\w*\b(?! *:)", "_", message)
    message = re.sub(r"\b\w+(\.\w+)*\.\d+[\w.]*|\b\d[\dx,.]*\b", "_", message)
    return " ".join(message.split())[:160]
