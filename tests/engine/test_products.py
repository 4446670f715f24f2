"""Attention as products: what a forward pass computes, and what no rotation of a basis moves."""

import pytest
import torch
from torch import nn

from svr_widget.engine import SVR
from tests.engine.zoo import heads, language

KINDS = ("QK", "OV")


def names(module, count, kinds=KINDS):
    return {f"{module}[{kind}.{head}]" for kind in kinds for head in range(count)}


def attention_maps(svr):
    return {name: linear for name, linear in svr.maps.items() if linear.kind == "attention"}


def gaussian(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


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


# By hand, from the layers' weights in the order in which each library keeps them.


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


@pytest.mark.parametrize("name", LANGUAGE)
def test_library_models_by_hand(name):
    torch.manual_seed(0)
    build, by_hand, layers = LANGUAGE[name]
    model, inputs = build()
    aside = "*.position_embeddings" if name == "ViT" else None
    svr = SVR(model, inputs, exclude=aside)
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
    plain = SVR(model, inputs, exclude=aside, attention="plain")
    left = set(svr.maps) - found.keys()
    assert left < set(plain.maps)
    consumed = set(plain.maps) - left
    assert consumed == {part for linear in found.values() for part in linear.product_of}
