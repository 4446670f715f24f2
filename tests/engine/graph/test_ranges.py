"""Ranges of what stands side by side: even, of like names, few seen."""

from __future__ import annotations

import random

import pytest

from svr_widget.engine.graph.ranges import ranges_of, spanned


@pytest.mark.parametrize("seed", range(40))
def test_ranges_are_even_and_few_and_keep_the_order(seed: int) -> None:
    chance = random.Random(seed)
    many = chance.randrange(25, 500)
    before, after = chance.randrange(3), chance.randrange(3)
    names = [*"ab"[:before], *(f"fc{at}" for at in range(many)), *"yz"[:after]]
    found = ranges_of(names, most=24, fewest=8)
    places = [at for each in found for at in each]
    # All of like names are in one, each once, in their order; what stands apart is in none.
    assert places == list(range(before, before + many))
    sizes = {len(each) for each in found}
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2
    assert 8 <= len(found) + before + after <= 24


def test_no_range_reaches_over_unlike_names() -> None:
    names = [*(f"conv{i}" for i in range(60)), *(f"fc{i}" for i in range(40))]
    assert [(each[0], each[-1]) for each in ranges_of(names, 24, 8)] == [
        (at, at + 9) for at in range(0, 100, 10)
    ]


def test_names_of_many_forms_part_nothing() -> None:
    names = [f"{part}{at}" for at in range(20) for part in "qkv"]
    assert [len(each) for each in ranges_of(names, 24, 8)] == [6] * 10


def test_few_are_left_apart() -> None:
    assert ranges_of([f"fc{at}" for at in range(24)], 24, 8) == []


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("fc1", "fc10", "fc1-fc10"),
        ("0", "18", "0-18"),
        ("layers.0", "layers.9", "layers.0-9"),
        ("Linear 1", "Linear 10", "Linear 1-10"),
        ("h.1.mlp", "h.11.mlp", "h.1-11.mlp"),
        ("attn[QK.0]", "attn[QK.7]", "attn[QK.0-7]"),
        ("Conv 3", "Linear 2", "Conv 3-Linear 2"),
        ("a", "a.b", "a-a.b"),
        ("x.y.x", "x.x", "x.y.x-x"),
        ("طبقة1", "طبقة9", "طبقة1-طبقة9"),
    ],
)
def test_a_name_says_first_and_last(first: str, last: str, expected: str) -> None:
    assert spanned(first, last) == expected
