"""What spectral activations take, how the model is called, and that it comes back untouched."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.utils.data import DataLoader, TensorDataset

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR
from tests.engine.support.layer_identity import assert_identity, run


class Two(nn.Module):
    """Two inputs and an option."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(2, 4)

    def forward(self, x, z, scale=1.0):
        return self.a(x) * scale + self.b(input=z)


class TestInputs:
    def test_a_loader_streams_batch_by_batch(self):
        model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(48, 2))
        images, labels = torch.randn(7, 1, 6, 6), torch.arange(7)
        svr = SVR(model, images)
        batches = svr.spectral_activations(
            DataLoader(TensorDataset(images, labels), batch_size=3), neurons=slice(2)
        )
        first = next(batches)
        assert {name: tuple(y.shape) for name, y in first.items()} == {
            "0": (3, 2, 4, 4),
            "2": (3, 2),
        }
        assert not model[0]._forward_pre_hooks  # nothing stays on the model in between
        rest = [first, *batches]
        whole = svr.spectral_activations(images, neurons=slice(2))
        for name, y in whole.items():
            torch.testing.assert_close(torch.cat([found[name] for found in rest]), y)

    def test_how_a_batch_becomes_a_call(self):
        svr = SVR(Two(), (torch.randn(2, 3), torch.randn(2, 2)))
        x, z = torch.randn(5, 3), torch.randn(5, 2)
        wanted = svr.spectral_activations((x, z))
        torch.testing.assert_close(wanted["b"], z @ svr["b"].V)
        (labelled,) = svr.spectral_activations([(x, z, torch.arange(5))])
        (mapped,) = svr.spectral_activations([{"z": z, "x": x}])
        for found in (
            labelled,
            mapped,
            svr.spectral_activations({"x": x, "z": z}),
            svr.spectral_activations((x.numpy(), z.numpy())),
        ):
            torch.testing.assert_close(found, wanted)

    def test_precision(self):
        x = torch.randn(3, 4, dtype=torch.float64)
        for dtype, kept in (
            (torch.float64, torch.float64),
            (torch.float32, torch.float32),
            (torch.bfloat16, torch.float32),
        ):
            svr = SVR(nn.Sequential(nn.Linear(4, 4)).to(dtype))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                y = svr.spectral_activations(x)["0"]
            assert y.dtype == kept
            wanted = x.to(dtype).double() @ svr["0"].V.double()
            torch.testing.assert_close(y.double(), wanted, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            (TensorDataset(torch.randn(3, 4)), "TensorDataset gives single samples.*DataLoader"),
            ("images", "not str"),
            (None, "not NoneType"),
            (3, "not int"),
        ],
    )
    def test_other_inputs_are_refused(self, inputs, message):
        with pytest.raises(TypeError, match=message):
            SVR(nn.Sequential(nn.Linear(4, 4))).spectral_activations(inputs)


class TestCalls:
    def test_what_is_read_is_what_stood_there_when_it_was_read(self):
        class Late(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(4, 4)

            def forward(self, x):
                y = self.inner(x)
                x.zero_()
                return y

        inputs = torch.randn(3, 4)
        given, svr = inputs.clone(), SVR(Late())
        y = svr.spectral_activations(given)["inner"]
        torch.testing.assert_close(y, inputs @ svr["inner"].V)

    def test_each_call_of_a_map_has_its_name(self):
        class Twice(nn.Module):
            def __init__(self):
                super().__init__()
                self.a = nn.Linear(4, 4)

            def forward(self, x):
                return self.a(self.a(x).relu())

        model, inputs = Twice(), torch.randn(3, 4)
        svr = SVR(model)
        found = svr.spectral_activations(inputs)
        assert list(found) == ["a", "a (call 2)"]
        read = model.a(inputs).relu().detach()
        torch.testing.assert_close(found["a (call 2)"], read @ svr["a"].V)

    def test_the_size_asked_of_a_transposed_convolution(self):
        class Up(nn.Module):
            def __init__(self):
                super().__init__()
                self.up = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)

            def forward(self, x):
                return self.up(x, output_size=(8, 7))

        model, inputs = Up(), torch.randn(2, 2, 4, 4)
        svr = SVR(model, inputs)
        y = svr.spectral_activations(inputs)["up"]
        assert y.shape == (2, 3, 8, 7)
        assert_identity(svr, "up", y, run(model, "up", inputs)[1])

    def test_weights_of_parametrisations(self):
        model = nn.Sequential(parametrizations.weight_norm(nn.Conv1d(2, 3, 3)))
        with torch.no_grad():
            model[0].parametrizations.weight.original0.mul_(3)
        inputs = torch.randn(2, 2, 8)
        svr = SVR(model, inputs)
        y = svr.spectral_activations(inputs)["0"]
        assert_identity(svr, "0", y, run(model, "0", inputs)[1])

    def test_maps_that_are_not_called(self):
        class Uncalled(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(4, 3), nn.Linear(3, 2)

            def forward(self, x):
                return functional.linear(self.a(x), self.b.weight)

        svr, inputs = SVR(Uncalled()), torch.randn(2, 4)
        with pytest.warns(UserWarning, match=r"^left out: 'b': its module is not called"):
            assert list(svr.spectral_activations(inputs)) == ["a"]
        with pytest.raises(SVRError, match=r"is not known: 'b': its module is not called"):
            svr.spectral_activations(inputs, "b")


class Moody(nn.Module):
    """Changes with every forward pass, in training above all."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(9, 4, max_norm=0.5)
        self.norm = nn.BatchNorm1d(4)
        self.out = nn.Linear(4, 2)
        self.register_buffer("passes", torch.zeros(()))
        self.seen = None

    def forward(self, tokens, fail=False):
        self.passes += 1
        x = self.norm(self.words(tokens)) + torch.rand(4)
        self.seen = x
        if fail:
            raise RuntimeError("in the middle")
        return self.out(x)


@pytest.mark.parametrize("fail", [False, True])
def test_the_model_comes_back_untouched(fail):
    model, tokens = Moody(), torch.arange(5)
    model.train()
    model.norm.eval()
    model.out.register_forward_pre_hook(lambda *_: None)
    svr = SVR(model, tokens)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.out.weight.grad = torch.ones(2, 4)
    state = torch.random.get_rng_state()
    if fail:
        with pytest.raises(SVRError, match="in the middle"):
            svr.spectral_activations((tokens, True))
    else:
        svr.spectral_activations(tokens)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (model.training, model.norm.training, model.out.training) == (True, False, True)
    assert [len(m._forward_pre_hooks) for m in (model.words, model.norm, model.out)] == [0, 0, 1]
    assert model.seen is None
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(model.out.weight.grad, torch.ones(2, 4))
    assert torch.is_grad_enabled()
