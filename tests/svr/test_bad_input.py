"""Models that are wrapped or in an odd state: read all the same, or refused by name."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from svr_widget.engine.errors import NonFiniteWeightsError, TraceError, UnsupportedLayerError
from svr_widget.svr import SVR


def mixed():
    """Something of everything that has a state of its own."""
    torch.manual_seed(0)
    return nn.Sequential(
        parametrizations.spectral_norm(nn.Linear(6, 8)), nn.Dropout(), nn.ReLU(),
        nn.Linear(8, 8), nn.BatchNorm1d(3), nn.TransformerEncoderLayer(8, 2, 9, batch_first=True),
        nn.Linear(8, 4), nn.LSTM(4, 3, batch_first=True),
    )  # fmt: skip


INPUTS = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(0))


def same(first, second):
    """Whether two SVRs show the same maps and links."""
    assert list(first.maps) == list(second.maps)
    assert list(first.links) == list(second.links)
    return all(torch.equal(m.weight, second.maps[n].weight) for n, m in first.maps.items())


class TestWrapped:
    def test_training_mode_makes_no_difference(self):
        assert same(SVR(mixed().train(), INPUTS), SVR(mixed().eval(), INPUTS))

    @pytest.mark.parametrize(
        "wrap",
        [
            nn.DataParallel,
            lambda model: torch.compile(model, backend="eager"),
            lambda model: nn.DataParallel(torch.compile(model, backend="eager")),
        ],
    )
    def test_wrappers_are_looked_into(self, wrap):
        model = mixed()
        assert same(SVR(wrap(model), INPUTS), SVR(model, INPUTS))

    def test_a_part_that_is_compiled(self):
        model = nn.Sequential(nn.Linear(4, 4), torch.compile(nn.Linear(4, 3), backend="eager"))
        assert list(SVR(model).links) == [("0", "1._orig_mod")]

    def test_a_module_used_twice_is_one_map(self):
        shared = nn.Linear(4, 4)
        svr = SVR(nn.Sequential(nn.Linear(3, 4), shared, nn.ReLU(), shared, nn.Linear(4, 2)))
        assert list(svr.maps) == ["0", "1", "4"]
        assert {key: link.backward for key, link in svr.links.items()} == {
            ("0", "1"): False,
            ("1", "1"): True,
            ("1", "4"): False,
        }

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_torchscript_is_refused(self):
        scripted = torch.jit.trace(nn.Sequential(nn.Linear(4, 4)), torch.zeros(1, 4))
        for model in (scripted, nn.Sequential(scripted)):
            with pytest.raises(UnsupportedLayerError, match=r"TorchScript.*before it was scripted"):
                SVR(model)


class TestWithoutValues:
    def test_meta(self):
        model = nn.Sequential(nn.Linear(4, 4), nn.LSTM(4, 4, device="meta"))
        with pytest.raises(
            UnsupportedLayerError, match=r"'1\.ih\[i\]' .* shape \(16, 4\) on the meta device"
        ):
            SVR(model)

    def test_lazy(self):
        model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.LazyLinear(3))
        with pytest.raises(
            UnsupportedLayerError, match=r"'2' is lazy.*run the model once on an ex"
        ):
            SVR(model)
        assert isinstance(model[2].weight, nn.UninitializedParameter)
        model(torch.zeros(1, 4))
        assert list(SVR(model).links) == [("0", "2")]

    @pytest.mark.parametrize(
        ("spoil", "name"),
        [
            (lambda model: model[3].weight, "3"),
            (lambda model: model[5].self_attn.in_proj_weight[8:], r"5\.self_attn\.in_proj\[k\]"),
            (lambda model: model[7].weight_hh_l0[9:], r"7\.hh\[o\]"),
            (lambda model: model[0].parametrizations.weight.original, "0"),
        ],
    )
    def test_nan_is_told_by_the_map(self, spoil, name):
        model = mixed()
        with torch.no_grad():
            spoil(model)[0, 0] = torch.nan
        with pytest.raises(NonFiniteWeightsError, match=rf"'{name}' has \d+ NaN or infinite"):
            SVR(model, INPUTS, attention="plain")


class Failing(nn.Module):
    """Changes its state, and then fails."""

    def __init__(self):
        super().__init__()
        self.inner = mixed()
        self.register_buffer("calls", torch.zeros(()))
        self.cache = []

    def forward(self, x):
        self.calls += 1
        self.cache = [self.inner(x), torch.rand(3)]
        raise RuntimeError("not today")


class Counting(Failing):
    """Changes its state."""

    def forward(self, x):
        self.calls += 1
        self.cache = [torch.rand(3)]
        return self.inner(x)


class TestUntouched:
    @pytest.mark.parametrize("kind", [Failing, Counting])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_the_model_comes_back_as_it_was(self, kind, dtype):
        model = kind().to(dtype).train()
        model.inner[3].eval()
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        model.inner[0].requires_grad_(False)
        seen = []
        model.inner[3].register_forward_hook(lambda *_: seen.append(1))
        before = copy.deepcopy(model)
        held = {name: id(value) for name, value in model.named_parameters()}
        flat = [id(weight) for weight in model.inner[7]._flat_weights]
        seed, fast = torch.random.get_rng_state(), torch.backends.mha.get_fastpath_enabled()
        if kind is Failing:
            with pytest.raises(TraceError, match=r"Failing could not be traced.*not today"):
                SVR(model, INPUTS.to(dtype))
        else:
            SVR(model, INPUTS.to(dtype)).compute()
        assert torch.equal(torch.random.get_rng_state(), seed)
        assert torch.backends.mha.get_fastpath_enabled() == fast
        assert torch.get_default_dtype() == torch.float32
        assert model.cache == []
        assert held == {name: id(value) for name, value in model.named_parameters()}
        assert flat == [id(weight) for weight in model.inner[7]._flat_weights]
        theirs = dict(before.named_modules())
        for name, module in model.named_modules():
            assert module.training == theirs[name].training
            assert set(vars(module)) == set(vars(theirs[name]))
            for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks"):
                assert len(getattr(module, hooks)) == len(getattr(theirs[name], hooks))
        for (name, mine), other in zip(
            model.state_dict().items(), before.state_dict().values(), strict=True
        ):
            assert torch.equal(mine, other), name
        for mine, other in zip(model.parameters(), before.parameters(), strict=True):
            assert mine.requires_grad == other.requires_grad
            assert torch.equal(mine.grad, torch.ones_like(mine))
            assert mine.dtype == dtype
