"""Spectral activations of packed layers, against the layers written out step by step."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR


def step(module, x, h, c, place):
    """One step of a recurrent layer by the formulas of PyTorch's documentation."""
    names = [f"weight_ih{place}", f"weight_hh{place}", f"bias_ih{place}", f"bias_hh{place}"]
    w_ih, w_hh, b_ih, b_hh = (getattr(module, name).detach() for name in names)
    mine, theirs = x @ w_ih.T + b_ih, h @ w_hh.T + b_hh
    if isinstance(module, nn.RNN):
        return (mine + theirs).tanh() if module.mode == "RNN_TANH" else (mine + theirs).relu(), c
    if isinstance(module, nn.GRU):
        (r, z, n), (hr, hz, hn) = mine.chunk(3, -1), theirs.chunk(3, -1)
        r, z = (r + hr).sigmoid(), (z + hz).sigmoid()
        return (1 - z) * (n + r * hn).tanh() + z * h, c
    i, f, g, o = (mine + theirs).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    if module.proj_size:
        h = h @ getattr(module, f"weight_hr{place}").detach().T
    return h, c


def unrolled(module, x, h0, c0):
    """What every layer and direction reads: ``{place: (inputs, states)}``, batch first."""
    found, directions = {}, 2 if module.bidirectional else 1
    for layer in range(module.num_layers):
        outputs = []
        for direction in range(directions):
            place = f"_l{layer}" + ("_reverse" if direction else "")
            h, c = (s[layer * directions + direction] for s in (h0, c0))
            steps, states, written = range(x.shape[1]), {}, {}
            for t in reversed(steps) if direction else steps:
                states[t] = h
                h, c = step(module, x[:, t], h, c, place)
                written[t] = h
            found[place] = x, torch.stack([states[t] for t in steps], 1)
            outputs.append(torch.stack([written[t] for t in steps], 1))
        x = torch.cat(outputs, -1)
    return found


class Recurrent(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, state=None):
        return self.layer(x, state)[0]


LAYERS = [
    nn.RNN(3, 4),
    nn.RNN(3, 4, num_layers=2, nonlinearity="relu", bidirectional=True, batch_first=True),
    nn.GRU(3, 4, batch_first=True),
    nn.GRU(3, 4, num_layers=2, bidirectional=True),
    nn.LSTM(3, 4, num_layers=3, dropout=0.5, batch_first=True),
    nn.LSTM(3, 4, num_layers=2, bidirectional=True),
    nn.LSTM(3, 5, proj_size=2, num_layers=2, bidirectional=True, batch_first=True),
]


@pytest.mark.parametrize("given", [False, True], ids=["zeros", "given"])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_recurrent_layers(layer, given):
    model, x = Recurrent(layer.double()), torch.randn(2, 6, 3, dtype=torch.float64)
    count = layer.num_layers * (2 if layer.bidirectional else 1)
    shapes = [(count, 2, layer.proj_size or layer.hidden_size), (count, 2, layer.hidden_size)]
    h0, c0 = (
        (torch.randn if given else torch.zeros)(shape, dtype=torch.float64) for shape in shapes
    )
    inputs = x if layer.batch_first else x.transpose(0, 1)
    state = ((h0, c0) if isinstance(layer, nn.LSTM) else h0) if given else None
    svr = SVR(model, (inputs, state))
    maps = [name for name in svr.maps if ".hr" not in name]
    found = svr.spectral_activations((inputs, state), maps)
    assert set(found) == set(maps)
    read = unrolled(layer, x, h0, c0)
    for name in maps:
        part = svr.parts[name]
        side, place = part.parameter.removeprefix("weight_").split("_", 1)
        wanted = read[f"_{place}"][0 if side == "ih" else 1]
        torch.testing.assert_close(found[name], (wanted @ svr[name].V.double()).movedim(-1, 1))


def test_a_recurrent_layer_without_a_batch():
    model, x = Recurrent(nn.GRU(3, 4)), torch.randn(6, 3)
    svr = SVR(model, x)
    found = svr.spectral_activations(x)
    batched = svr.spectral_activations(x.unsqueeze(1))
    assert found["layer.hh[n]"].shape == (1, 4, 6)
    torch.testing.assert_close(found, batched)


def test_what_a_projection_and_packed_sequences_keep_inside():
    model, x = Recurrent(nn.LSTM(3, 5, proj_size=2)), torch.randn(6, 2, 3)
    svr = SVR(model, x)
    with pytest.warns(UserWarning, match="left out: 'layer.hr': what the projection of an LSTM"):
        assert len(svr.spectral_activations(x)) == 8
    with pytest.raises(SVRError, match=r"'layer\.hr': what the projection"):
        svr.spectral_activations(iter(()), "layer.hr")
    packed = pack_sequence([x[:, 0], x[:4, 1]])
    with pytest.raises(SVRError, match=r"'layer\.hh\[f\]': a PackedSequence .* give it padded"):
        svr.spectral_activations((packed,), "layer.hh[f]")


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_cells(kind):
    class Stepping(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = kind(3, 4)

        def forward(self, x):
            states = [None]
            for t in range(x.shape[1]):
                states.append(self.cell(x[:, t], hx=states[-1]))
            return states[1:]

    model, x = Stepping(), torch.randn(2, 3, 3)
    svr = SVR(model, x)
    found = svr.spectral_activations(x)
    after = [s[0] if isinstance(s, tuple) else s for s in model(x)]
    hidden = [torch.zeros(2, 4), *(state.detach() for state in after[:-1])]
    for name in svr.maps:
        for t in range(3):
            read = hidden[t] if ".hh" in name else x[:, t]
            label = name if t == 0 else f"{name} (call {t + 1})"
            torch.testing.assert_close(found[label], read @ svr[name].V)


class Attending(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, **options)

    def forward(self, q, k, v, mask=None):
        return self.attention(q, key=k, value=v, attn_mask=mask, need_weights=False)[0]


@pytest.mark.parametrize(
    "options",
    [{}, {"batch_first": True}, {"kdim": 3, "vdim": 5}, {"bias": False, "add_zero_attn": True}],
    ids=str,
)
def test_attention(options):
    model, batch_first = Attending(**options), options.get("batch_first", False)
    attention = model.attention
    q, k, v = (
        torch.randn(2, 6, 4),
        torch.randn(2, 5, attention.kdim),
        torch.randn(2, 5, attention.vdim),
    )
    mask = torch.randn(6, 5)
    given = q, k, v
    if not batch_first:
        given = tuple(x.transpose(0, 1) for x in given)
    svr = SVR(model, (*given, mask), attention="plain")
    found = svr.spectral_activations((*given, mask))
    names = ["in_proj[q]", "in_proj[k]", "in_proj[v]", "out_proj"]
    assert set(found) == {f"attention.{name}" for name in names}
    for name, x in zip(names, (q, k, v), strict=False):
        name = f"attention.{name}"
        torch.testing.assert_close(found[name], (x @ svr[name].V).movedim(-1, 1))
    with torch.no_grad():
        written = attention(*given, attn_mask=mask)[0]
        written = written if batch_first else written.transpose(0, 1)
        written = written - (0 if attention.out_proj.bias is None else attention.out_proj.bias)
    neurons = svr["attention.out_proj"]
    recombined = torch.einsum(
        "om,m,bmt->bto", neurons.U.double(), neurons.S, found["attention.out_proj"].double()
    )
    torch.testing.assert_close(recombined.float(), written, rtol=1e-4, atol=1e-5)
    # What was put in the place of the output projection is gone.
    assert type(attention.out_proj) is not nn.Linear
    assert list(attention._modules) == ["out_proj"]


def test_a_transformer_encoder_runs_part_by_part():
    model = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), 2, enable_nested_tensor=False
    )
    x = torch.randn(2, 5, 4)
    svr = SVR(model, x, attention="plain")
    found = svr.spectral_activations(x)
    assert set(found) == set(svr.maps)
    assert {tuple(y.shape[::2]) for y in found.values()} == {(2, 5)}


def test_products_of_heads_read_what_their_value_and_key_maps_read():
    model, x = Attending(batch_first=True), torch.randn(2, 5, 4)
    svr = SVR(model, (x, x, x))
    found = svr.spectral_activations((x, x, x), [name for name in svr.maps if "V." in name])
    assert len(found) == 2
    for name, y in found.items():
        torch.testing.assert_close(y, (x @ svr[name].V).movedim(-1, 1))


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags_of_tokens(mode):
    class Bags(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag = nn.EmbeddingBag(9, 4, mode=mode, padding_idx=0)

        def forward(self, tokens, offsets=None, weights=None):
            return self.bag(tokens, offsets, per_sample_weights=weights)

    model, svr = Bags(), None
    tokens, offsets = torch.tensor([3, 1, 0, 8, 8]), torch.tensor([0, 3])
    weights = torch.tensor([0.5, 2.0, 1.0, 1.0, -1.5]) if mode == "sum" else None
    svr = SVR(model, (tokens, offsets))
    for given in ((tokens, offsets, weights), (tokens.reshape(1, -1),)):
        y = svr.spectral_activations(given)["bag"]
        neurons = svr["bag"]
        found = torch.einsum("om,m,bm->bo", neurons.U.double(), neurons.S, y.double())
        torch.testing.assert_close(found.float(), model(*given).detach(), rtol=1e-4, atol=1e-5)


def test_the_largest_of_a_bag_is_refused():
    model = nn.Sequential(nn.EmbeddingBag(9, 4, mode="max"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        svr = SVR(model, torch.tensor([[1, 2]]))
    with pytest.raises(SVRError, match="'0': the largest of several rows is no linear map"):
        svr.spectral_activations(torch.tensor([[1, 2]]), "0")
