"""Attention as products: what a forward pass computes, and what no rotation of a basis moves."""

import math

import numpy as np
import pytest
import torch
import transformers
from scipy import stats
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from svr_widget.svr import SVR
from tests.engine.support.zoo import attention, heads, language

KINDS = ("QK", "OV")


def names(module, count, kinds=KINDS):
    return {f"{module}[{kind}.{head}]" for kind in kinds for head in range(count)}


def attention_maps(svr):
    return {name: linear for name, linear in svr.maps.items() if linear.kind == "attention"}


class TestAgainstTheForwardPass:
    """``sum over heads of softmax(x QK y^T) y OV^T`` is the attention's output."""

    @staticmethod
    def recomputed(svr, x, y, module="attention"):
        total = torch.zeros(x.shape)
        for name in attention_maps(svr):
            if name.startswith(f"{module}[QK."):
                query_key = svr.maps[name]
                output_value = svr.maps[name.replace("QK", "OV")]
                inner = query_key.factors[0].shape[1]
                scores = x @ query_key.weight @ y.transpose(1, 2) / inner**0.5
                total += scores.softmax(-1) @ y @ output_value.weight.T
        return total

    @pytest.mark.parametrize("batch", [1, 2])
    @pytest.mark.parametrize("name", heads.ATTENTIONS)
    def test_however_it_is_written(self, name, batch):
        torch.manual_seed(0)
        model = heads.ATTENTIONS[name]().eval()
        x, y = torch.randn(batch, 3, 8), torch.randn(batch, 5, 8)
        svr = SVR(model, (x, y))
        assert {n for n in svr.maps if n != "bias"} == names("attention", model.heads)
        with torch.no_grad():
            wanted = model(x, y)
        y = x if isinstance(model, heads.Fused) else y
        torch.testing.assert_close(self.recomputed(svr, x, y), wanted, rtol=0, atol=1e-5)

    def test_two_after_each_other_share_the_stream(self):
        """Linked, too: what is written is read by the next head's products on every channel."""

        class Two(nn.Module):
            def __init__(self):
                super().__init__()
                self.inlet, self.first, self.second = (
                    heads.linear(8, 8),
                    *(heads.Fused(by_head=by_head) for by_head in (True, False)),
                )

            def forward(self, x):
                x = self.inlet(x)
                x = x + self.first(x, x)
                return x + self.second(x, x)

        svr = SVR(Two(), torch.randn(1, 3, 8))
        first, second = (names(part, 4, ["OV"]) for part in ("first", "second"))
        reading = {
            part: {f"{part}[QK.{h}].{s}" for h in range(4) for s in "qk"} | names(part, 4, ["OV"])
            for part in ("first", "second")
        }
        assert set(svr.links) == {
            *(("inlet", name) for part in reading.values() for name in part),
            *((ov, name) for ov in first for name in reading["second"]),
        }
        assert second.isdisjoint(key[0] for key in svr.links)
        for link in svr.links.values():
            assert torch.equal(link.producer_channels, torch.arange(8))
            assert torch.equal(link.consumer_channels, torch.arange(8))
        depth = {name: linear.depth for name, linear in svr.maps.items()}
        assert depth == {"inlet": 0, **dict.fromkeys(names("first", 4), 1)} | dict.fromkeys(
            names("second", 4), 2
        )


def by_head(queries, keys, values, output, count):
    """``{name: matrix}`` from matrices ``[out, in]``, keys and values shared where fewer."""
    size = queries.shape[0] // count
    shared = count // (keys.shape[0] // size)
    found = {}
    for h in range(count):
        mine = slice(h * size, (h + 1) * size)
        kept = slice(h // shared * size, (h // shared + 1) * size)
        found["QK", h] = queries[mine].T @ keys[kept]
        found["OV", h] = output[:, mine] @ values[kept]
    return found


def gpt2_by_hand(model):
    for place, block in enumerate(model.transformer.h):
        q, k, v = block.attn.c_attn.weight.T.chunk(3)
        yield f"transformer.h.{place}.attn", by_head(q, k, v, block.attn.c_proj.weight.T, 2)


def separate_by_hand(names, count):
    def of(model):
        modules = dict(model.named_modules())
        for path in [path for path in modules if path.endswith(names[0])]:
            parent = path.removesuffix(names[0])
            yield parent.rstrip("."), by_head(*(modules[parent + n].weight for n in names), count)

    return of


def bert_by_hand(model):
    names = ("self.query", "self.key", "self.value", "output.dense")
    return separate_by_hand(names, 2)(model)


LANGUAGE = {
    "GPT-2": (language.gpt2, gpt2_by_hand, 2),
    "BERT": (language.bert, bert_by_hand, 2),
    "Llama": (language.llama, separate_by_hand(("q_proj", "k_proj", "v_proj", "o_proj"), 4), 2),
    "T5": (language.t5, separate_by_hand(("q", "k", "v", "o"), 2), 3),
    "BART": (language.bart, separate_by_hand(("q_proj", "k_proj", "v_proj", "out_proj"), 2), 3),
    "ViT": (language.vit, separate_by_hand(("q_proj", "k_proj", "v_proj", "o_proj"), 2), 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LANGUAGE)
def test_library_models_by_hand(name):
    torch.manual_seed(0)
    build, by_hand, layers = LANGUAGE[name]
    model, inputs = build()
    svr = SVR(model, inputs)
    wanted = {
        f"{module}[{kind}.{head}]": matrix.detach().double()
        for module, of_module in by_hand(model)
        for (kind, head), matrix in of_module.items()
    }
    found = attention_maps(svr)
    assert found.keys() == wanted.keys()
    assert len({name.partition("[")[0] for name in found}) == layers
    for key, matrix in wanted.items():
        torch.testing.assert_close(found[key].weight.double(), matrix, rtol=0, atol=1e-7)
        neurons = svr[key]
        assert len(neurons) == found[key].neurons() == found[key].factors[0].shape[1]
        rebuilt = (neurons.U.double() * neurons.S) @ neurons.V.double().T
        torch.testing.assert_close(rebuilt, matrix, rtol=0, atol=1e-6)
    plain = SVR(model, inputs, attention="plain")
    left = set(svr.maps) - found.keys()
    assert left < set(plain.maps)
    consumed = set(plain.maps) - left
    assert consumed == {part for linear in found.values() for part in linear.product_of}


class Queried(TorchFunctionMode):
    """Keeps the queries and keys ``[n, heads, t, d]`` of every attention that runs."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is functional.scaled_dot_product_attention:
            self.seen.append(args[:2])
        elif func is torch.matmul:
            self.seen.append((args[0], args[1].transpose(-2, -1)))
        return func(*args, **(kwargs or {}))


def rotary(way):
    def build():
        return heads.Rotary(way), torch.randn(1, 5, 8), "attention", "query"

    return build


def llama():
    model, inputs = language.llama()
    return model, inputs, "model.layers.0.self_attn", "model.layers.0.self_attn.q_proj"


def gpt_j():
    config = transformers.GPTJConfig(
        vocab_size=12, n_positions=8, n_embd=16, n_layer=1, n_head=2, rotary_dim=4,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    inputs = {"input_ids": torch.arange(5)[None]}
    return transformers.GPTJModel(config), inputs, "h.0.attn", "h.0.attn.q_proj"


def gpt_neox():
    config = transformers.GPTNeoXConfig(
        vocab_size=12, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, rotary_pct=0.5,
        intermediate_size=12, max_position_embeddings=8, attention_bias=False,
    )  # fmt: skip
    inputs = {"input_ids": torch.arange(5)[None]}
    name = "layers.0.attention"
    return transformers.GPTNeoXModel(config), inputs, name, f"{name}.query_key_value"


@pytest.mark.parametrize(
    "build",
    [
        *(rotary(way) for way in ("halves", "half of them", "neighbours", "complex")),
        *(llama, gpt_j, gpt_neox),
    ],
)
def test_rotary_positions_cancel_between_equal_ones(build):
    """Scores of equal positions, as the model computes them, are ``x^T QK x``."""
    torch.manual_seed(0)
    model, inputs, module, reader = build()
    svr = SVR(model, inputs)
    read = []
    handle = model.get_submodule(reader).register_forward_pre_hook(
        lambda _, arguments: read.append(arguments[0][0])
    )
    with torch.no_grad(), Queried() as queried:
        model.eval()(**inputs) if isinstance(inputs, dict) else model(inputs)
    handle.remove()
    queries, keys = (part if part.dim() == 4 else part[:, None] for part in queried.seen[0])
    keys = keys.repeat_interleave(queries.shape[1] // keys.shape[1], 1)
    wanted = (queries * keys)[0].sum(-1)
    found = [name for name in svr.maps if name.startswith(f"{module}[QK.")]
    assert len(found) == len(wanted)
    for name, scores in zip(found, wanted, strict=True):
        product = torch.einsum("ti,ij,tj->t", read[0], svr.maps[name].weight, read[0])
        torch.testing.assert_close(product, scores, rtol=1e-4, atol=1e-7)
        assert "relative position 0" in svr.maps[name].remark
    assert any("relative position 0" in note and module in note for note in svr.notes)


class TestAHeadsBasis:
    """Another basis of a head changes no output and no product; its matrices' neurons move."""

    @staticmethod
    def change_basis(model, scale):
        """Each head's, in place: another for values than for queries and keys."""
        random = np.random.default_rng(0)

        def basis():
            turns = (torch.from_numpy(stats.ortho_group.rvs(4, random_state=random)) for _ in "ab")
            left, right = turns
            return left @ torch.diag(torch.logspace(0, math.log10(scale), 4).double()) @ right

        with torch.no_grad():
            for block in model.blocks:
                layer = block["attention"]
                for head in range(2):
                    queries, values = basis(), basis()
                    changes = queries, torch.linalg.inv(queries).T, values
                    for part, change in enumerate(changes):
                        rows = slice(8 * part + 4 * head, 8 * part + 4 * head + 4)
                        layer.qkv.weight[rows] = change @ layer.qkv.weight[rows]
                        layer.qkv.bias[rows] = change @ layer.qkv.bias[rows]
                    mine = slice(4 * head, 4 * head + 4)
                    layer.out.weight[:, mine] = layer.out.weight[:, mine] @ torch.linalg.inv(values)

    @pytest.mark.slow
    @pytest.mark.parametrize("scale", [1, 3], ids=["rotated", "scaled, too"])
    def test_products_stay_and_matrices_move(self, scale):
        model, image = attention.vit_and_image()
        views = ("products", "plain")
        before = [SVR(model, image, exclude="positions", attention=view) for view in views]
        with torch.no_grad():
            output = model.eval()(image)
            self.change_basis(model, scale)
            torch.testing.assert_close(model(image), output, rtol=0, atol=1e-12)
        after = [SVR(model, image, exclude="positions", attention=view) for view in views]
        assert list(before[0].links) == list(after[0].links)
        for name in before[0].maps:
            old, new = before[0][name], after[0][name]
            torch.testing.assert_close(old.S, new.S, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(old.U, new.U, rtol=0, atol=1e-8)
            torch.testing.assert_close(old.V, new.V, rtol=0, atol=1e-8)
        for link in before[0].links:
            old, new = (svr.adjacency(link).dense() for svr in (before[0], after[0]))
            torch.testing.assert_close(old, new, rtol=0, atol=1e-8)
        old, new = before[1]["blocks.0.attention.qkv"], after[1]["blocks.0.attention.qkv"]
        assert (old.U - new.U).abs().max() > 0.1
        assert ((old.S - new.S).abs().max() > 0.1) == (scale > 1)

    def test_swapped_heads_swap_maps(self):
        model, image = attention.vit_and_image()
        before = SVR(model, image, exclude="positions")
        layer = model.blocks[0]["attention"]
        swap = torch.tensor([4, 5, 6, 7, 0, 1, 2, 3])
        with torch.no_grad():
            layer.qkv.weight.copy_(layer.qkv.weight.view(3, 8, 8)[:, swap].flatten(0, 1))
            layer.out.weight.copy_(layer.out.weight[:, swap])
        after = SVR(model, image, exclude="positions")
        for kind in ("QK", "OV"):
            for head in range(2):
                old = before.maps[f"blocks.0.attention[{kind}.{head}]"].weight
                new = after.maps[f"blocks.0.attention[{kind}.{1 - head}]"].weight
                assert torch.equal(old, new)
