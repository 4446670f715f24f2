"""Nothing that an SVR gives out can be written to, and nothing of it changes when one tries."""

import copy
import io
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.read_only import ReadOnlyTensor, read_only
from svr_widget.svr import SVR

WRITES = {
    "item": lambda x: x.__setitem__(0, 7),
    "mask": lambda x: x.__setitem__(x == x, 7),
    "in place": lambda x: x.mul_(7),
    "operator": lambda x: x.__iadd__(7),
    "row": lambda x: x[0].fill_(7),
    "iteration": lambda x: [row.fill_(7) for row in x],
    "transposed": lambda x: x.T.fill_(7),
    "reshaped": lambda x: x.reshape(-1).fill_(7),
    "flattened": lambda x: x.flatten().fill_(7),
    "expanded": lambda x: x.expand(2, *x.shape).fill_(7),
    "split": lambda x: x.split(1)[0].fill_(7),
    "contiguous": lambda x: x.contiguous().fill_(7),
    "same device": lambda x: x.cpu().fill_(7),
    "same type": lambda x: x.to(x.dtype).fill_(7),
    "other type": lambda x: x.view(torch.int32).fill_(7),
    "strides": lambda x: x.as_strided((2,), (1,)).fill_(7),
    "detached": lambda x: x.detach().fill_(7),
    "data": lambda x: x.data.fill_(7),
    "new data": lambda x: setattr(x, "data", torch.zeros(3)),
    "set": lambda x: x.set_(torch.zeros(3)),
    "resized": lambda x: x.resize_(1),
    "shape": lambda x: x.squeeze_(),
    "out": lambda x: torch.mul(x, 7, out=x),
    "functional": lambda x: F.relu(x, inplace=True),
    "list": lambda x: torch._foreach_mul_([x], 7),
    "base class": lambda x: x.as_subclass(torch.Tensor).fill_(7),
    "converted": lambda x: torch.as_tensor(x).fill_(7),
    "numpy": lambda x: x.numpy().__setitem__(0, 7),
    "asarray": lambda x: np.asarray(x).__setitem__(0, 7),
    "flags": lambda x: x.numpy().setflags(write=True),
    "gradient": lambda x: x.requires_grad_(),
    "gradient set": lambda x: setattr(x, "requires_grad", True),
    "ufunc": lambda x: np.multiply(x.numpy(), 7, out=x.numpy()),
}


@pytest.mark.parametrize("write", WRITES)
def test_no_way_to_write_leads_to_the_memory(write):
    own = torch.arange(1.0, 7.0).reshape(2, 3)
    before = own.clone()
    with pytest.raises((SVRError, ValueError)):
        WRITES[write](read_only(own))
    assert torch.equal(own, before)


def heedless(array):
    """What torch makes of an array that is not to be written to: it can be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.from_numpy(array)


COPIES = {
    "clone": torch.clone,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "sum": lambda x: x + 0,
    "dlpack": torch.from_dlpack,
    "storage": lambda x: torch.tensor([]).set_(x.untyped_storage(), 0, x.shape),
    "list": lambda x: torch.tensor(x.tolist()),
    "array": lambda x: torch.from_numpy(np.array(x)),
    "heedless": lambda x: heedless(x.numpy()),
    "heedless of asarray": lambda x: heedless(np.asarray(x)),
    "heedless of detach": lambda x: heedless(x.detach().numpy()),
    "joined": lambda x: torch.cat([x]),
}


@pytest.mark.parametrize("way", COPIES)
def test_what_is_made_of_it_is_an_ordinary_tensor_of_its_own(way):
    own = torch.arange(1.0, 7.0).reshape(2, 3)
    made = COPIES[way](read_only(own))
    assert type(made) is torch.Tensor
    assert torch.equal(made, own)
    made.fill_(7)
    assert own[0, 0] == 1


def test_it_reads_as_any_tensor():
    own = torch.arange(1.0, 7.0).reshape(2, 3)
    shown = read_only(own)
    assert isinstance(shown, torch.Tensor)
    assert repr(shown) == repr(own)
    assert f"{shown[0, 0]:.3g} {shown.sum():.1f}" == "1 21.0"
    assert (int(shown[1, 1]), bool(shown[0, 0]), [7, 8][read_only(torch.tensor(1))]) == (5, True, 8)
    assert (len(shown), 3.0 in shown, max(shown[0])) == (2, True, 3)
    assert {shown: 1}[shown] == 1
    assert np.sqrt(shown.numpy()).sum() == pytest.approx(np.sqrt(own.numpy()).sum())
    assert pd.Series(shown[0]).tolist() == [1, 2, 3]
    assert pd.DataFrame(shown).shape == (2, 3)
    file = io.BytesIO()
    torch.save({"x": shown}, file)
    file.seek(0)
    assert type(torch.load(file)["x"]) is torch.Tensor
    assert shown.data_ptr() == own.data_ptr()
    assert type(shown.T) is ReadOnlyTensor
    assert float(shown[1, 2]) == shown.max().item() == 6
    assert torch.equal(shown @ shown.T, own @ own.T)
    assert np.linalg.norm(shown) == pytest.approx(float(own.norm()))
    other = torch.zeros(3)
    other += shown[0]
    other[:1] = shown[1, :1]
    assert other.tolist() == [4, 2, 3]
    weight = nn.Parameter(shown.clone())
    torch.optim.SGD([weight], 0.1).zero_grad()


def test_the_message_leads_on():
    shown = read_only(torch.ones(3))
    with pytest.raises(SVRError, match=r"read-only, .* write to a copy: x = x.clone\(\)"):
        shown[0] = 0
    x = shown.clone()
    x[0] = 0
    assert shown[0] == 1


def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, groups=2), nn.Flatten()
    )
    return model.append(nn.Linear(6 * 16, 5)).eval()


def numbers(svr):
    """Everything that comes out, as one list of arrays."""
    found = []
    for name in svr.maps:
        neurons = svr[name]
        found += [
            neurons.U,
            neurons.S,
            neurons.V,
            neurons.null,
            neurons.clusters,
            svr.intensity(name),
        ]
    for key in svr.links:
        adjacency = svr.adjacency(key)
        dimensions = svr.internal_dimensions(key)
        found += [adjacency.dense(), adjacency.intensity(), np.array(dimensions[:3])]
        found += [test.weights for test in adjacency.tests()]
    found += [svr.edges(p=0.5).weight, svr.neurons().singular_value, *svr.significance().curve]
    found.append(svr.dead_channels(tolerance=1).ratio)
    return [np.array(each) for each in found]


def given_out(svr, seen=None, what=None):
    """Every tensor, array and frame that can be reached from the public results of an SVR."""
    seen = set() if seen is None else seen
    if what is None:
        results = [svr.edges(p=0.5), svr.neurons(), svr.dead_channels(tolerance=1), svr.notes]
        results += [svr.maps, svr.links, svr.outlets, svr.columns, svr.decomposed]
        results += [svr.significance(), svr.significance().curve, svr.significance().cut(p=0.5)]
        results += [svr.spectral_activations(torch.randn(2, 2, 8, 8)), svr.match(svr).pairs]
        for name in svr.maps:
            results += [svr[name], svr.intensity(name), svr.channel_blocks(name)]
            results += [svr.maps[name].weight, svr.decomposition(name, "cosvr")]
        for key in svr.links:
            adjacency = svr.adjacency(key)
            results += [adjacency.dense(), adjacency.frame(), adjacency.intensity()]
            results += [adjacency.effective_filters(), adjacency.parts(), adjacency.edges(p=0.5)]
            results += [adjacency.tests(), adjacency.mean(), adjacency.link, adjacency.producer]
        what = results
    if id(what) in seen or isinstance(what, str | int | float | nn.Module | None):
        return
    seen.add(id(what))
    if isinstance(what, torch.Tensor | np.ndarray | pd.DataFrame | pd.Series):
        yield what
    elif isinstance(what, dict) or hasattr(what, "items"):
        for value in what.values():
            yield from given_out(svr, seen, value)
    elif isinstance(what, list | tuple):
        for value in what:
            yield from given_out(svr, seen, value)
    elif hasattr(what, "__dict__"):
        for name, value in vars(what).items():
            if not name.startswith("_"):
                yield from given_out(svr, seen, value)


def overwrite(each):
    if isinstance(each, pd.DataFrame | pd.Series):
        for place in range(len(each.columns) if isinstance(each, pd.DataFrame) else 0):
            if each.iloc[:, place].dtype.kind == "f":
                each.iloc[:, place] = 7.0
    elif isinstance(each, torch.Tensor):
        each.fill_(1)
    else:
        each.fill(1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["svr", "cross"])
def test_no_number_of_an_svr_changes_whatever_is_written_to(method, tmp_path):
    svr = SVR(network(), torch.randn(1, 2, 8, 8), method=method)
    fresh = SVR(network(), torch.randn(1, 2, 8, 8), method=method)
    refused = written = 0
    for each in list(given_out(svr)):
        try:
            overwrite(each)
        except (SVRError, ValueError):
            refused += 1
        else:
            written += 1
    assert refused > 20  # what is kept
    assert written > 10  # what was made for the caller
    for found, expected in zip(numbers(svr), numbers(fresh), strict=True):
        np.testing.assert_array_equal(found, expected)
    svr.save(tmp_path / "graph.safetensors", weights=True)
    loaded = SVR.load(tmp_path / "graph.safetensors")
    for write in (lambda: loaded["0"].S.fill_(0), lambda: loaded.maps["0"].weight.fill_(0)):
        with pytest.raises(SVRError, match="read-only"):
            write()


def test_what_is_written_to_the_example_changes_nothing_that_is_measured_on_it():
    torch.manual_seed(0)
    layers = nn.Conv2d(2, 4, 3), nn.Sigmoid(), nn.Conv2d(4, 3, 3, padding=1)
    model, example = nn.Sequential(*layers), torch.randn(1, 2, 8, 8)
    with torch.no_grad():
        model[0].weight[1] = 0
    svr = SVR(model, example)
    _, before = svr.remove_dead_channels(1.0)
    example.zero_()
    svr.example.args[0].fill_(9)
    _, after = svr.remove_dead_channels(1.0)
    assert after.change == before.change > 0


def test_bare_weights_are_read_only_and_the_callers_own_are_not():
    weights = [torch.eye(3), torch.randn(2, 3, generator=torch.Generator().manual_seed(0))]
    svr = SVR(weights)
    with pytest.raises(SVRError, match="read-only"):
        svr.maps["0"].weight[0] = 0
    weights[0][0] = 0
    assert svr.maps["0"].weight[0, 0] == 1
    for mapping in (svr.maps, svr.links, svr.parts, svr.columns, svr.significance().tests):
        with pytest.raises(TypeError):
            mapping["0"] = None
