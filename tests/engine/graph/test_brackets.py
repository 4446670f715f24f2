"""What is seen of folded graphs: js/test/golden/folding.json, which the page must see, too.

``python -m tests.engine.graph.test_brackets`` writes the file anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from svr_widget.engine.graph.brackets import seen_of
from svr_widget.engine.graph.folding import label_of, modules_of
from svr_widget.engine.maps.labels import Labels

GOLDEN = Path(__file__).parents[3] / "js" / "test" / "golden" / "folding.json"


def blocks(many: int, inner: list[str]) -> list[str]:
    return [f"h.{block}.{name}" for block in range(many) for name in inner]


HEADS = [f"attn[{kind}.{head}]" for kind in ("QK", "OV") for head in range(3)]
GPT = ["wte", *blocks(5, [*HEADS, "mlp.c_fc", "mlp.c_proj"]), "lm_head"]
DEEP = ["wte", *blocks(40, ["attn", "mlp"]), "head"]
STACK = [f"fc{i}" for i in range(1, 101)]
SCATTERED = [f"m.{name}" for name in ("b.c.x", "b.c.y", "k", "b.z", "l", "b.w", "j", "b.v")]
SCATTERED = ["in", *SCATTERED, "out", "n.p", "n.q"]
MORE_HEADS = [f"attn[{kind}.{head}]" for kind in ("QK", "OV") for head in range(30)]
MANY = ["wte", *blocks(2, [*MORE_HEADS, "mlp.c_fc", "mlp.c_proj"])]
MIXED = ["a.x", "b.x", "a.y", "b.y", "c.x", "c.y", "a.z", "b.z", "c.z"]


def inputs() -> list[tuple[list[str], list[int], list[str] | None]]:
    """Names, depths, and which modules are folded."""

    def row(names: list[str]) -> list[int]:
        return list(range(len(names)))

    heads_together = [name.count("[") and 1 for name in GPT]
    depths, depth = [], 0
    for parallel, before in zip(heads_together, [0, *heads_together], strict=False):
        depth += not (parallel and before)
        depths.append(depth)
    return [
        (GPT, depths, None),
        (GPT, depths, []),
        (GPT, depths, ["h.0", "h.1", "h.3", "h.4", "h.2.mlp"]),
        (GPT, depths, ["h.2", "h.2.attn"]),
        (DEEP, row(DEEP), None),
        (DEEP, row(DEEP), ["h.0-4", "h.7", "h.8"]),
        (STACK, row(STACK), None),
        (STACK, row(STACK), [f"fc{i}-fc{i + 9}" for i in range(1, 101, 10) if i != 31]),
        (STACK, row(STACK), []),
        (MIXED, row(MIXED), []),
        (SCATTERED, row(SCATTERED), []),
        (MIXED, row(MIXED), ["a"]),
        (["x.a", "x.b", "y.a", "y.b"], [0, 1, 2, 3], []),
        (["x.a", "x.b", "y.a", "y.b"], [3, 2, 1, 0], ["y"]),
        (MANY, row(MANY), []),
    ]


def cases() -> list[dict[str, Any]]:
    found = []
    for names, depths, folded in inputs():
        modules, labels = modules_of(names), Labels(dict(zip(names, names, strict=True)))
        innermost = {at: place for place, module in enumerate(modules) for at in module.columns}
        columns, brackets = seen_of(names, depths, modules, labels, folded)
        found.append(
            {
                "maps": [
                    {"name": name, "label": name, "depth": depth, "module": innermost.get(at)}
                    for at, (name, depth) in enumerate(zip(names, depths, strict=True))
                ],
                "modules": [
                    {
                        "name": module.name,
                        "label": label_of(module, labels),
                        "parent": module.parent,
                        "folded": module.folded,
                    }
                    for module in modules
                ],
                "folded": folded,
                "columns": [[label, list(held), is_folded] for label, held, is_folded in columns],
                "brackets": [list(bracket) for bracket in brackets],
            }
        )
    return found


def test_the_golden_cases_are_the_engines() -> None:
    assert json.loads(GOLDEN.read_text()) == json.loads(json.dumps(cases()))


def test_what_is_seen_of_one_open_block() -> None:
    names = GPT
    modules, labels = modules_of(names), Labels({name: name for name in names})
    folded = [f"h.{block}" for block in (0, 1, 3, 4)]
    seen = seen_of(names, range(len(names)), modules, labels, folded)
    heads = [f"{kind}.{head}" for kind in ("QK", "OV") for head in range(3)]
    expected = ["wte", "h.0", "h.1", *heads, "c_fc", "c_proj", "h.3", "h.4", "lm_head"]
    assert [column.label for column in seen.columns] == expected
    assert seen.brackets == (("h.2", 3, 10, 1), ("attn", 3, 8, 0), ("mlp", 9, 10, 0))


def test_every_column_is_seen_once_and_a_range_opens_over_its_own() -> None:
    modules, labels = modules_of(STACK), Labels({name: name for name in STACK})
    folded = [module.name for module in modules if module.name != "fc31-fc40"]
    seen = seen_of(STACK, range(100), modules, labels, folded)
    assert sorted(at for column in seen.columns for at in column.columns) == list(range(100))
    assert [column.label for column in seen.columns[2:5]] == ["fc21-fc30", "fc31", "fc32"]
    assert seen.brackets == (("fc31-fc40", 3, 12, 0),)


def test_a_name_goes_on_from_the_module_around_a_range() -> None:
    modules, labels = modules_of(MANY), Labels({name: name for name in MANY})
    seen = seen_of(MANY, range(len(MANY)), modules, labels, [])
    assert [column.label for column in seen.columns[1:4]] == ["QK.0", "QK.1", "QK.2"]
    assert {"QK.0-5", "OV.0-5"} <= {bracket.label for bracket in seen.brackets}


def test_a_bracket_that_is_left_out_keeps_the_row_of_those_within() -> None:
    modules, labels = modules_of(SCATTERED), Labels({name: name for name in SCATTERED})
    seen = seen_of(SCATTERED, range(len(SCATTERED)), modules, labels, [])
    assert seen.brackets == (("m", 1, 8, 1), ("b.c", 1, 2, 0), ("n", 10, 11, 0))


@pytest.mark.parametrize("folded", [[], None])
def test_a_few_columns_have_no_brackets(folded: list[str] | None) -> None:
    names = ["x.a", "x.b", "y.a", "y.b"]
    labels = Labels({name: name for name in names})
    assert seen_of(names, range(4), modules_of(names), labels, folded).brackets == ()


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(cases(), separators=(",", ":")) + "\n")
