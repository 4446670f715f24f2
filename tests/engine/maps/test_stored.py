"""Tensors whose values stay where they are until somebody computes with them."""

import copy

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file
from torch import nn

from svr_widget import SVR
from svr_widget.engine.maps.stored import (
    LowRank,
    StoredTensor,
    has_values,
    in_memory,
    wholes_kept,
)
from svr_widget.engine.network.network import MapReader


class Shelf:
    """Gives a matrix, and counts how often."""

    def __init__(self, *shape):
        self.values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        self.taken = 0
        self.tensor = StoredTensor(self.values.to("meta"), self.take)

    def take(self):
        self.taken += 1
        return self.values


@pytest.fixture
def shelf():
    return Shelf(4, 3)


def test_the_form_is_known_without_reading(shelf):
    tensor = shelf.tensor
    assert (tensor.shape, tensor.ndim, tensor.dtype) == ((4, 3), 2, torch.float32)
    assert (tensor.stride(), tensor.numel(), len(tensor)) == ((3, 1), 12, 4)
    assert (tensor.is_meta, tensor.device.type, has_values(tensor)) == (False, "cpu", True)
    assert tensor.to("meta").is_meta
    assert shelf.taken == 0


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t.T,
        lambda t: t[:, torch.tensor([2, 0])],
        lambda t: t[1:3],
        lambda t: t.flatten(1),
        lambda t: t.T.contiguous(),
        lambda t: t.permute(1, 0)[0],
        lambda t: t.detach(),
    ],
)
def test_views_wait_as_well(shelf, view):
    seen, expected = view(shelf.tensor), view(shelf.values)
    assert shelf.taken == 0
    assert (seen.shape, seen.stride()) == (expected.shape, expected.stride())
    assert torch.equal(in_memory(seen), expected)
    assert shelf.taken == 1


@pytest.mark.parametrize(
    "compute",
    [
        lambda t: t @ t.T,
        lambda t: (t * 2).double(),
        lambda t: torch.equal(t, t),
        lambda t: torch.cat([t, t]),
        lambda t: torch.empty(4, 3).copy_(t),
        lambda t: t.numpy(),
        lambda t: np.asarray(t),
        lambda t: t.tolist(),
        lambda t: nn.functional.linear(torch.ones(2, 3), t),
    ],
)
def test_whatever_computes_reads(shelf, compute):
    found, expected = compute(shelf.tensor), compute(shelf.values)
    assert not isinstance(found, StoredTensor)
    assert np.array_equal(np.asarray(found), np.asarray(expected))
    assert shelf.taken > 0


def test_a_copy_is_in_memory_and_its_own(shelf):
    made = copy.deepcopy(shelf.tensor)
    assert isinstance(made, nn.Parameter)
    made.zero_()
    assert not torch.equal(made, shelf.values)


def test_low_rank_is_the_product_of_its_factors():
    left, right = Shelf(5, 2), Shelf(2, 7)
    product = LowRank(left.tensor, right.tensor)
    assert product.shape == (5, 7)
    assert left.taken == right.taken == 0
    expected = (left.values.double() @ right.values.double()).float()
    assert torch.equal(in_memory(product), expected)
    assert product.detach() is product


def test_parts_of_the_two_that_were_read_last_read_nothing():
    shelves = [Shelf(4, 3) for _ in range(3)]
    with wholes_kept():
        for head in range(3):
            for shelf in shelves[:2]:
                part = in_memory(shelf.tensor[head : head + 1].T)
                assert torch.equal(part, shelf.values[head : head + 1].T)
        assert [shelf.taken for shelf in shelves] == [1, 1, 0]
        in_memory(shelves[2].tensor)
        in_memory(shelves[0].tensor)
        assert [shelf.taken for shelf in shelves] == [2, 1, 1]
    in_memory(shelves[0].tensor)
    assert shelves[0].taken == 3


def test_the_heads_of_a_layer_read_its_matrices_once(tmp_path, monkeypatch):
    config = transformers.LlamaConfig(
        hidden_size=32, intermediate_size=24, num_hidden_layers=1, vocab_size=11,
        num_attention_heads=8, num_key_value_heads=8,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, tmp_path / "a.safetensors"
    )
    with torch.device("meta"):
        skeleton = transformers.LlamaForCausalLM(config).eval()
    read: list[str] = []
    matrix = MapReader._matrix
    monkeypatch.setattr(
        MapReader, "_matrix", lambda self, name: read.append(name) or matrix(self, name)
    )
    svr = SVR(skeleton, {"input_ids": torch.arange(5)[None]}, weights=tmp_path / "a.safetensors")
    read.clear()
    svr.decompose_all()
    attention = [name.rpartition(".")[2] for name in read if "self_attn" in name]
    assert {name: attention.count(name) for name in set(attention)} == {
        "q_proj": 1, "k_proj": 1, "v_proj": 1, "o_proj": 1,
    }  # fmt: skip
    for name, neurons in SVR(model, {"input_ids": torch.arange(5)[None]}).maps.items():
        assert torch.equal(svr.maps[name].weight, neurons.weight)
