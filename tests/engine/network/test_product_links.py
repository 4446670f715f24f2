"""Attention as products in the graph: their links, laws, and everything else that reads them."""

import math

import numpy as np
import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional

from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.read_only import plain
from svr_widget.svr import SVR
from tests.engine.support.zoo import attention, heads, language


def attention_maps(svr):
    return {name: linear for name, linear in svr.maps.items() if linear.kind == "attention"}


class TestLinks:
    @pytest.fixture
    def svr(self):
        torch.manual_seed(0)
        return SVR(*language.gpt2())

    def test_into_queries_and_keys(self, svr):
        """The query side is read by ``U``, the key side by ``V``."""
        name = "transformer.h.1.attn[QK.1]"
        producer = svr["transformer.h.0.mlp.c_proj"].U
        for side, vectors in (("q", svr[name].U), ("k", svr[name].V)):
            adjacency = svr.adjacency(("transformer.h.0.mlp.c_proj", f"{name}.{side}"))
            wanted = (vectors.double().T @ producer.double()).square()
            torch.testing.assert_close(adjacency.dense().double(), wanted, rtol=0, atol=1e-6)
            assert (adjacency.link.consumer, adjacency.link.side) == (name, side)
        assert name not in {link.producer for link in svr.links.values()}

    def test_out_of_the_output_map_into_the_value_map(self, svr):
        first, second = "transformer.h.0.attn[OV.1]", "transformer.h.1.attn[OV.0]"
        wanted = (svr[second].V.double().T @ svr[first].U.double()).square()
        found = svr.adjacency((first, second)).dense().double()
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
        assert svr.adjacency((first, second)).law.mean == 1 / 8

    def test_tables_and_intensities_take_them(self, svr):
        table = svr.edges(p=1.0)
        tested = {key for key, link in svr.links.items() if not link.by_construction}
        assert len(tested) < len(svr.links)  # the head is the embedding
        assert set(zip(table["producer"], table["consumer"], strict=True)) == tested
        neurons = svr.neurons()
        assert list(dict.fromkeys(neurons["map"])) == list(svr.maps)
        ending = neurons["map"].str.contains("[QK.", regex=False)
        assert (neurons.loc[ending, "intensity"] == 1).all()

    def test_heads_of_one_layer_read_another_in_one_bundle(self, svr):
        """The sides of queries and keys are read of one map, and are defined alike."""
        alike = [bundle for bundle in svr.links.links.bundles if len(bundle) > 4]
        assert max(map(len, alike)) == 2 * 6  # two heads, into q, k and v of two
        assert {side for bundle in alike for _, side in bundle.consumers} == {None, "q", "k"}

    def test_each_weight_is_copied_once(self, svr):
        """Products are parts of their matrices, the head is the embedding transposed."""
        kept = {*memory(svr._traced.matrices.values())}
        assert {*memory(svr.maps.values())} <= kept
        tensors = {each.data_ptr() for each in svr.model.parameters() if each.ndim == 2}
        assert len(kept) == len(tensors)
        assert kept.isdisjoint(tensors)

    @pytest.mark.parametrize("method", ["cosvr", "cross"])
    def test_every_method_is_the_same_without_a_kernel(self, svr, method):
        other = svr.by_method(method)
        for link in svr.links:
            assert torch.equal(other.adjacency(link).dense(), svr.adjacency(link).dense())
            assert other.ends(link) == svr.ends(link) == link_ends(svr, link)


def memory(maps):
    """Where the weights of maps lie."""
    for linear in maps:
        for factor in linear.factors:
            yield plain(factor).untyped_storage().data_ptr()


def link_ends(svr, key):
    return svr.links[key].producer, svr.links[key].consumer


def test_random_heads_meet_by_chance():
    """p-values between the products of random matrices are uniform, on every kind of link."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=40, n_positions=8, n_embd=48, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0
    )
    model = transformers.GPT2Model(config)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            nn.init.normal_(parameter)
    svr = SVR(model, {"input_ids": torch.arange(5)[None]})
    kinds = {}
    for key, link in svr.links.items():
        adjacency = svr.adjacency(key)
        (tests,) = adjacency.tests()
        ends = link.producer.partition("[")[2][:2], link.consumer.partition("[")[2][:2], link.side
        if any(ends[:2]):
            p = np.exp(tests.law.logsf(tests.weights))
            kinds.setdefault(ends, []).append(p)
    assert set(kinds) == {
        *((producer, "QK", side) for producer in ("", "OV") for side in "qk"),
        *(("", "OV", None), ("OV", "OV", None), ("OV", "", None)),
    }
    for p_values in kinds.values():
        p = np.concatenate(p_values)
        for level in (0.5, 0.1, 0.01):
            spread = math.sqrt(level * (1 - level) / len(p))
            # Entries of one matrix depend on each other a little: rows and columns have norm 1.
            assert abs(np.mean(p <= level) - level) < 5 * spread, (len(p), level)


def test_attention_is_one_of_two_views():
    with pytest.raises(SVRError, match=r"attention must be one of .*; did you mean 'plain'"):
        SVR([torch.eye(2)], attention="plane")


def test_a_link_into_the_queries_is_compared_with_shuffled_weights():
    model, image = attention.vit_and_image()
    for view, consumer in (("products", "[QK.0].q"), ("plain", ".qkv")):
        svr = SVR(model, image, exclude="positions", attention=view)
        key = ("patches", f"blocks.0.attention{consumer}")
        table = svr.null_comparison(key, draws=1, initial=svr)
        rows = table.set_index("weights")[["m", "n", "weight"]]
        assert rows.loc["initial"].equals(rows.loc["trained"])
        assert not rows.loc["shuffled"].equals(rows.loc["trained"])
        assert rows.loc["trained", "weight"] == svr.adjacency(key).dense().max()


def test_a_saved_graph_keeps_its_products(tmp_path):
    model, image = attention.vit_and_image()
    svr = SVR(model, image, exclude="positions")
    svr.save(tmp_path / "heads.safetensors", weights=True)
    loaded = SVR.load(tmp_path / "heads.safetensors")
    assert (list(loaded.links), loaded.attention) == (list(svr.links), "products")
    for name, linear in attention_maps(svr).items():
        again = loaded.maps[name]
        assert (again.product_of, again.kind) == (linear.product_of, "attention")
        assert torch.equal(again.weight, linear.weight)
    for key in svr.links:
        assert torch.equal(loaded.adjacency(key).dense(), svr.adjacency(key).dense())


@pytest.mark.parametrize("name", ["separate", "convolutions", "multihead"])
def test_activations_are_what_values_and_keys_read(name):
    torch.manual_seed(0)
    model = heads.ATTENTIONS[name]()
    x, y = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    svr = SVR(model, (x, y))
    found = svr.spectral_activations((x, y))
    assert found.keys() == attention_maps(svr).keys()
    for each, activations in found.items():
        neurons = svr[each]
        read = activations.movedim(1, -1)
        wanted = y @ svr.maps[each].weight.T
        torch.testing.assert_close(
            (read * neurons.S.float()) @ neurons.U.T, wanted, atol=1e-5, rtol=0
        )


class Linear(nn.Module):
    """Linear attention: keys meet values before queries meet either."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.out = (heads.linear(8, 8) for _ in range(4))

    def forward(self, x):
        q, k = functional.elu(self.query(x)) + 1, functional.elu(self.key(x)) + 1
        return self.out(q @ (k.transpose(1, 2) @ self.value(x)))


def test_linear_attention_has_no_products():
    svr = SVR(Linear(), torch.randn(1, 5, 8))
    assert list(svr.maps) == ["query", "key", "value", "out"]
    assert list(svr.links) == [("value", "out")]
