"""Running beside the user's work: what of theirs is touched, in whatever way a forward behaves."""

from __future__ import annotations

import functools
import random
import signal
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from svr_widget.engine.errors import SVRError
from svr_widget.engine.model.user_model import running
from svr_widget.svr import SVR
from tests.amounts import amount

MOMENTS = amount(100, 1_000)
ROUNDS = amount(12, 60)


def snapshot(model: nn.Module) -> dict[str, object]:
    """Everything about a model that a run could change: values, versions, flags, identities."""
    found: dict[str, object] = {}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        inference = tensor.is_inference()
        found[name] = (
            id(tensor),
            tensor.detach().clone(),
            tensor.dtype,
            tensor.requires_grad,
            None if inference else tensor._version,
            tensor.data_ptr(),
        )
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            inside = dict(value) if isinstance(value, dict) else value
            found[f"{path}/{name}"] = list(inside) if isinstance(inside, list) else inside
    found["torch"] = torch.get_rng_state()
    found["numpy"] = np.random.get_state()[1].tolist()  # noqa: NPY002  # as users draw
    found["python"] = random.getstate()
    return found


def assert_same(now: object, before: object, where: str = "") -> None:
    assert type(now) is type(before), where
    if isinstance(now, Tensor):
        assert now is before or torch.equal(now, before), where
    elif isinstance(now, dict):
        assert list(now) == list(before), where
        for name in now:
            assert_same(now[name], before[name], f"{where}.{name}")
    elif isinstance(now, tuple | list):
        assert len(now) == len(before), where
        for a, b in zip(now, before, strict=True):
            assert_same(a, b, where)
    elif not isinstance(now, np.ndarray):
        assert now is before or now == before, where


class Two(nn.Module):
    """``b(relu(a(x)))``, and something before."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 6), nn.Linear(6, 4)
        self.register_buffer("scale", torch.ones(5))
        self.count = 0
        self.seen: list[int] = []
        self.kept = {"last": torch.zeros(5)}

    def before(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(self.before(x))))


def behaving(**methods: object) -> type[Two]:
    return type("Behaving", (Two,), methods)


def norm_by_data(self: Two, x: Tensor) -> Tensor:
    self.a.weight.data = torch.renorm(self.a.weight.data, p=2, dim=0, maxnorm=0.3)
    return x


def norm_in_place(self: Two, x: Tensor) -> Tensor:
    self.a.weight.data.mul_(0.5)
    self.a.weight[:2].zero_()
    self.b.weight.t()[1].fill_(3.0)
    return x


def copy_into(self: Two, x: Tensor) -> Tensor:
    with torch.no_grad():
        self.a.weight.copy_(torch.ones(6, 5))
        nn.init.zeros_(self.b.bias)
    return x


def through_numpy(self: Two, x: Tensor) -> Tensor:
    self.a.weight.detach().numpy()[:] = 7.0
    return x


def half_and_back(self: Two, x: Tensor) -> Tensor:
    self.half()
    self.float()
    return x


def new_parameter(self: Two, x: Tensor) -> Tensor:
    self.a.weight = nn.Parameter(self.a.weight * 2)
    self.a.bias.requires_grad_(False)
    return x


def state(self: Two, x: Tensor) -> Tensor:
    self.count += 1
    self.seen.append(1)
    self.kept["last"] = x
    self.kept["more"] = x
    self.scale.mul_(2)
    self.train()
    self.register_buffer("new", x)
    return x


def draws(self: Two, x: Tensor) -> Tensor:
    x = x + torch.rand(5) + torch.randn_like(x) + torch.rand_like(x) + torch.randint(3, (5,))
    x = nn.functional.dropout(x, 0.5, training=True) + torch.bernoulli(torch.full((5,), 0.5))
    q = x.view(1, -1, 5)
    x = x + nn.functional.scaled_dot_product_attention(q, q, q, None, 0.5)[0]
    x = x + torch.randperm(5) + torch.normal(0.0, 1.0, (5,)) + torch.multinomial(torch.ones(9), 5)
    return x + np.random.rand() + random.random()  # noqa: NPY002  # as users draw


def seeds(self: Two, x: Tensor) -> Tensor:
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002  # as users draw
    random.seed(3)
    return x + torch.rand(5)


BEHAVIOURS = [
    norm_by_data,
    norm_in_place,
    copy_into,
    through_numpy,
    half_and_back,
    new_parameter,
    state,
    draws,
    seeds,
]


@pytest.mark.parametrize("before", BEHAVIOURS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("inference", [False, True], ids=["", "inference mode"])
def test_the_model_and_the_generators_are_as_before(before, inference: bool) -> None:
    with torch.inference_mode(inference):
        model = behaving(before=before)()
    model.train()
    x = torch.randn(3, 5)
    weight = model.a.weight.detach().clone()
    was = snapshot(model)
    svr = SVR(model, x)
    found = svr.spectral_activations(x)
    assert_same(snapshot(model), was)
    torch.testing.assert_close(svr.maps["a"].weight, weight)  # the weights as they were
    if before is not new_parameter:  # then the map is no longer used
        assert ("a", "b") in svr.links
        assert found["a"].shape == (3, 5)


def test_what_is_computed_is_what_the_model_computes() -> None:
    torch.manual_seed(0)
    for before in (norm_by_data, norm_in_place, copy_into, through_numpy, half_and_back):
        model = behaving(before=before)().eval()
        x = torch.randn(3, 5)
        with running(model) as run:
            ours = run.model(x)
        with torch.no_grad():
            torch.testing.assert_close(ours, model(x), msg=before.__name__)


def wrapped(kind: str) -> nn.Module:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 4))
    if kind == "old weight norm":
        model[0] = weight_norm(model[0])
        model(torch.ones(2, 5))  # its weight is then no leaf
    elif kind == "old spectral norm":
        model[0] = spectral_norm(model[0])
    elif kind == "parametrization":
        model[0] = parametrizations.weight_norm(model[0])
        parametrizations.orthogonal(model[2])
    elif kind == "pruned":
        prune.l1_unstructured(model[0], "weight", 0.5)
    elif kind == "tied":
        model[4] = nn.Linear(6, 6)
        model[4].weight = model[2].weight
    elif kind == "compiled":
        model[2].compile(backend="eager")
        model[4] = torch.compile(model[4], backend="eager")
    elif kind == "lock":
        model.lock = threading.Lock()
    elif kind == "rebound":
        model[0].forward = types.MethodType(lambda self, x: nn.Linear.forward(self, x), model[0])
        model[2].forward = functools.partial(nn.Linear.forward, model[2])
    elif kind == "accelerate":
        for layer in (model[0], model[2]):
            align(layer)
    elif kind == "own hook":
        model[0].register_forward_pre_hook(_doubled)
    elif kind == "cached":
        model.cache = model[0](torch.ones(1, 5))
    elif kind == "recurrent":
        model = nn.Sequential(nn.Linear(5, 5), nn.LSTM(5, 4, 2, batch_first=True))
    elif kind == "data parallel":
        model[2] = nn.DataParallel(model[2])
    return model


class Aligning:
    """A hook as accelerate's: it moves inputs, and remembers what it did."""

    device: torch.device | None = None

    def pre_forward(self, module: nn.Module, x: Tensor) -> Tensor:
        self.device = x.device
        return x.to(module.weight.device)


def _aligned(module: nn.Module, x: Tensor) -> Tensor:
    return module._old_forward(module._hf_hook.pre_forward(module, x))


def align(module: nn.Module) -> None:
    """What ``accelerate.hooks.add_hook_to_module`` does to a module."""
    module._hf_hook, module._old_forward = Aligning(), module.forward
    ours = functools.partial(_aligned, module)
    module.forward = functools.update_wrapper(ours, module._old_forward)


def _doubled(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (inputs[0] * 2,)


KINDS = [
    "plain",
    "old weight norm",
    "old spectral norm",
    "parametrization",
    "pruned",
    "tied",
    "compiled",
    "lock",
    "rebound",
    "accelerate",
    "own hook",
    "cached",
    "recurrent",
    "data parallel",
]


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_module_runs_privately(kind: str) -> None:
    model = wrapped(kind).train()
    x = torch.randn(3, 7, 5) if kind == "recurrent" else torch.randn(3, 5)
    was = snapshot(model)
    svr = SVR(model, x)
    svr.spectral_activations(x)
    with running(model) as run:
        ours = run.model(x)
        assert {id(module) for module in run.model.modules()}.isdisjoint(map(id, model.modules()))
    assert_same(snapshot(model), was)
    assert all(hook.device is None for hook in hooks_of_accelerate(model))
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(ours, model(x))


def hooks_of_accelerate(model: nn.Module) -> list[Aligning]:
    return [vars(each)["_hf_hook"] for each in model.modules() if "_hf_hook" in vars(each)]


class Gathering:
    def __init__(self, seen: list[int]) -> None:
        self.seen = seen

    def see(self, *_: object) -> None:
        self.seen.append(1)


def test_methods_of_lists_go_with_their_lists() -> None:
    class Model(Two):
        def __init__(self) -> None:
            super().__init__()
            self.note = self.seen.append

        def before(self, x: Tensor) -> Tensor:
            self.note(1)
            return x * len(self.seen)

    model, x = Model().eval(), torch.randn(2, 5)
    with running(model) as run:
        ours = run(x)
    assert model.seen == []
    with torch.no_grad():
        torch.testing.assert_close(ours, model(x))


@pytest.mark.parametrize("method", [False, True])
def test_hooks_that_are_bound_to_something_of_the_users_are_left_out_with_a_note(method) -> None:
    model, seen = wrapped("plain"), []
    gather = Gathering(seen)
    model[2].register_forward_hook(gather.see if method else lambda *_: seen.append(1))
    svr = SVR(model)
    svr.spectral_activations(torch.randn(2, 5))
    assert not seen
    [note] = [note for note in svr.notes if "hook" in note]
    assert "'2' (Linear)" in note


class Collector:
    """A context variable with constants besides, as transformers has one for all its models."""

    def __init__(self) -> None:
        self.variable: ContextVar[list[Any] | None] = ContextVar("collected", default=None)
        self.compiling = False


COLLECTOR = Collector()


def tell(key: str) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, args: Any, output: Any) -> None:
        collected = COLLECTOR.variable.get()
        if collected is not None and key == "hidden":
            collected.append(output)

    return hook


class Collecting(nn.Module):
    """Puts its hooks there when it is first called, and takes from them what its layers gave."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(5, 5) for _ in range(2))
        self.head, self.hooked = nn.Linear(5, 3), False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.hooked:
            for layer in self.layers:
                layer.register_forward_hook(tell("hidden"))
            self.hooked = True
        token = COLLECTOR.variable.set([])
        for layer in self.layers:
            x = layer(x)
        first, _ = COLLECTOR.variable.get()
        COLLECTOR.variable.reset(token)
        return self.head(first)


@pytest.mark.parametrize("called_before", [False, True])
def test_hooks_that_tell_by_a_context_variable_are_run(called_before: bool) -> None:
    model = Collecting()
    if called_before:
        model(torch.randn(2, 5))
    before = COLLECTOR.variable.set(mine := [])
    svr = SVR(model, torch.randn(2, 5))
    COLLECTOR.variable.reset(before)
    assert set(svr.links) == {("layers.0", "layers.1"), ("layers.0", "head")}
    assert mine == []
    assert not any("hook" in note for note in svr.notes)
    assert bool(model.layers[0]._forward_hooks) == called_before == model.hooked


def live_forward(model: nn.Module) -> None:
    inner = model[0].forward
    model[0].forward = lambda x: inner(x)


def live_hook(model: nn.Module) -> None:
    model[0].register_forward_pre_hook(lambda m, x: model[2].eval() and None)


def live_global(model: nn.Module) -> None:
    global _live
    _live = model[2]
    model[0].register_forward_hook(_uses_global)


_live: nn.Module | None = None


def _uses_global(*_: object) -> None:
    assert _live is not None


def scripted(model: nn.Module) -> None:
    model[1] = torch.jit.script(nn.ReLU())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("spoil", [live_forward, live_hook, live_global, scripted])
def test_what_can_only_be_run_as_it_is_is_refused_by_name(spoil) -> None:
    model = wrapped("plain")
    spoil(model)
    name = "1" if spoil is scripted else "0"
    with pytest.raises(SVRError, match=rf"'{name}' .*run_live=True"):
        SVR(model)
    x = torch.randn(2, 5)
    was = snapshot(model)
    svr = SVR(model, run_live=True)
    svr.spectral_activations(x)
    assert ("0", "2") in svr.links
    assert_same(snapshot(model), was)


def test_fsdp_is_refused_by_name() -> None:
    class FSDPModule:
        pass

    class FSDPLinear(FSDPModule, nn.Linear):
        pass

    with pytest.raises(SVRError, match=r"'1' \(FSDPLinear\) is sharded by FSDP.*run_live=True"):
        SVR(nn.Sequential(nn.Linear(4, 4), FSDPLinear(4, 4)))


class Helper:
    """An object of the user's that holds a module and counts."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer, self.calls = layer, 0

    def __call__(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.layer(x)


def test_objects_of_the_users_that_hold_modules_are_built_anew() -> None:
    class Model(Two):
        def __init__(self) -> None:
            super().__init__()
            self.helper = Helper(self.a)
            self.function = lambda x: self.a(x)

        def before(self, x: Tensor) -> Tensor:
            return x + self.helper(x).sum() + self.function(x).sum()

    model, x = Model().train(), torch.randn(2, 5)
    with running(model) as run:
        ours = run.model(x)
        assert run.model.helper.layer is run.model.a
    assert model.helper.calls == 0
    with torch.no_grad():
        torch.testing.assert_close(ours, model(x))


def test_threads_do_not_meet() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)
    )
    svr = SVR(model, torch.zeros(1, 1, 4, 4))
    images = [torch.rand(3 + k, 1, 4, 4) for k in range(4)]
    right = [svr.spectral_activations(each) for each in images]
    model.train()
    wrong: list[object] = []
    start = threading.Barrier(4)

    def work(k: int) -> None:
        start.wait()
        for _ in range(ROUNDS):
            found = svr.spectral_activations(images[k])
            for name, value in right[k].items():
                if not torch.equal(found[name], value):
                    wrong.append((k, name))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert all(module.training for module in model.modules())


def test_a_training_loop_goes_on_beside_questions() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)
    )
    x, y = torch.rand(16, 1, 4, 4), torch.zeros(16, dtype=torch.long)

    def trained(beside: bool) -> list[Tensor]:
        torch.manual_seed(1)
        for layer in (model[0], model[1], model[4]):
            layer.reset_parameters()
        svr = SVR(model, x[:1])
        model.train()
        going, asked = threading.Event(), []

        def ask() -> None:
            while not going.is_set():
                svr.spectral_activations(x[:2])
                asked.append(1)

        asker = threading.Thread(target=ask)
        if beside:
            asker.start()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        steps = 0
        while steps < 60 or (beside and len(asked) < 5):
            assert all(module.training for module in model.modules())
            optimizer.zero_grad()
            noise = torch.rand(16, 1, 4, 4) if steps < 60 else torch.zeros(16, 1, 4, 4)
            nn.functional.cross_entropy(model(x + noise), y).backward()
            if steps < 60:
                optimizer.step()
                last = [value.clone() for value in model.parameters()]
            steps += 1
        going.set()
        if beside:
            asker.join()
        return last

    for alone, accompanied in zip(trained(False), trained(True), strict=True):
        assert torch.equal(alone, accompanied)


class Outside(NamedTuple):
    """What of the process and of this thread an interrupt must not leave changed."""

    functions: int
    operators: int
    gradients: bool
    autocast: bool
    rounding: dict[str, str]
    streams: tuple[object, ...]
    fast_path: bool
    filters: int
    call: object

    @classmethod
    def now(cls) -> Outside:
        return cls(
            torch._C._len_torch_function_stack(),
            torch._C._len_torch_dispatch_stack(),
            torch.is_grad_enabled(),
            torch.is_autocast_enabled("cpu"),
            np.geterr(),
            (sys.stdout, sys.stderr),
            torch.backends.mha.get_fastpath_enabled(),
            len(warnings.filters),
            nn.Module.__call__,
        )


# Where it comes while Python calls back for a weak reference, Python drops it.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_leaves_nothing_behind() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4)).train()
    x = torch.randn(3, 5)

    def work() -> dict[str, Tensor]:
        return SVR(model, x).spectral_activations(x)

    right = work()
    was, outside = snapshot(model), Outside.now()
    begun = time.perf_counter()
    work()
    usual = time.perf_counter() - begun
    moments = np.random.default_rng(0).uniform(0, usual, MOMENTS)
    interrupted, armed = 0, False

    def interrupt(*_: object) -> None:
        nonlocal armed
        if armed:  # else the work was done before the moment came
            armed = False
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for moment in moments:
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, max(moment, 1e-6))
                work()
                armed = False
            except KeyboardInterrupt:
                interrupted += 1
            assert_same(snapshot(model), was)
            assert Outside.now() == outside
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 0.3 * MOMENTS
    again = work()
    for name, value in right.items():
        assert torch.equal(again[name], value)
