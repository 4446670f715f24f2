"""Labels kept small against the same labels kept whole."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from svr_widget.engine.trace.flow import labels

NONE = labels.NONE


def random_label(seed: int, shape: tuple[int, ...]) -> Tensor:
    """Constant along some dimensions, with and without absent elements."""
    generator = torch.Generator().manual_seed(seed)
    kept = [n if torch.rand((), generator=generator) < 0.6 else 1 for n in shape]
    return torch.randint(NONE, 3, kept, generator=generator).expand(shape)


def whole(label: Tensor) -> Tensor:
    return label.clone(memory_format=torch.contiguous_format)


@pytest.mark.parametrize("seed", range(20))
def test_small_labels_are_the_labels(seed: int) -> None:
    label = random_label(seed, (2, 3, 4))
    small = labels.canonical(whole(label))
    assert torch.equal(small, label)
    for dim, size in enumerate(label.shape):
        constant = bool((label == label.narrow(dim, 0, 1)).all())
        assert (dim in labels.varying_dims(small)) == (not constant)
        assert labels.core(small).shape[dim] == (1 if constant else size)


@pytest.mark.parametrize("seed", range(20))
def test_one_label_along_dimensions(seed: int) -> None:
    label = labels.canonical(random_label(seed, (2, 3, 4)))
    for dims in ([0], [1], [2], [0, 2], [0, 1, 2]):
        kept = [d for d in range(3) if d not in dims]
        columns = (
            whole(label).permute(*kept, *dims).flatten(len(kept)).reshape(-1, _size(label, dims))
        )
        sets = [set(column.tolist()) - {NONE} for column in columns]
        one = labels.collapse(label, dims)
        assert (one is None) == any(len(found) > 1 for found in sets)
        if one is not None:
            assert one.flatten().tolist() == [found.pop() if found else NONE for found in sets]


def _size(label: Tensor, dims: list[int]) -> int:
    return int(torch.tensor([label.shape[dim] for dim in dims]).prod())


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_concatenation(seed: int, dim: int) -> None:
    sizes = [[2, 3, 4], [2, 3, 4]]
    sizes[1][dim] = 5
    parts = [
        labels.canonical(random_label(2 * seed + i, tuple(shape))) for i, shape in enumerate(sizes)
    ]
    joined = labels.concatenate(parts, dim)
    assert torch.equal(joined, torch.cat([whole(part) for part in parts], dim))


def test_channels_of_a_large_image_take_one_number_each() -> None:
    label = labels.along(1, (1, 512, 224, 224))
    moved = labels.canonical(label.permute(0, 2, 3, 1).flatten(1, 2)[:, ::2])
    assert moved.shape == (1, 25088, 512)
    assert labels.core(moved).numel() == 512


def test_positions_count_row_by_row() -> None:
    ids = labels.grid_ids((1, 3, 2, 4), [2, 3])
    assert torch.equal(ids[0, 2], torch.arange(8).view(2, 4))
    assert labels.varying_dims(ids) == {2, 3}
