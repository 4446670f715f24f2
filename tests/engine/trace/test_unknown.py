"""What is not known stops only what it stands on, and every message says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from svr_widget import SVR
from svr_widget.engine.errors import SVRError, TraceError
from tests.engine.support.zoo.moving import Branches


class Squared(torch.autograd.Function):
    """What a user wrote by hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * x

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads


def unknown(x: Tensor) -> Tensor:
    """An operator of which no rule knows what it does to channels."""
    return torch.linalg.qr(x)[0]


class Between(nn.Module):
    """``between`` stands on one way from ``a`` to ``o``; a second way passes by it."""

    def __init__(self, between: Callable[[Tensor], Tensor], beside: bool = True) -> None:
        super().__init__()
        self.a, self.b, self.c, self.o = (nn.Linear(4, 4) for _ in range(4))
        self.between, self.beside = between, beside

    def forward(self, x: Tensor) -> Tensor:
        y = self.between(self.a(x))
        if self.beside:
            y = y + self.c(self.b(x))
        return self.o(y)


class WithLoss(nn.Module):
    """A loss inside of ``forward``, which no map follows."""

    def __init__(self, loss: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.loss = nn.Linear(6, 8), nn.Linear(8, 3), loss

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.b(self.a(x).relu())
        return y, self.loss(y)


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "mse": lambda y: F.mse_loss(y, torch.zeros_like(y)),
    "smooth L1": lambda y: F.smooth_l1_loss(y, torch.zeros_like(y)),
    "huber": lambda y: F.huber_loss(y, torch.zeros_like(y)),
    "binary cross entropy": lambda y: F.binary_cross_entropy(y.sigmoid(), torch.ones_like(y)),
    "with logits": lambda y: F.binary_cross_entropy_with_logits(y, torch.ones_like(y)),
    "cross entropy": lambda y: F.cross_entropy(y, torch.tensor([0, 2])),
    "ctc": lambda y: F.ctc_loss(
        y.log_softmax(-1)[:, None], torch.tensor([[1]]), torch.tensor([2]), torch.tensor([1])
    ),
    "of the user's": lambda y: Squared.apply(y).sum(),
    "unknown": lambda y: unknown(y).sum(),
    "divergence": lambda y: F.kl_div(y.log_softmax(-1), torch.full_like(y, 1 / 3)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_what_no_map_follows_is_nothing(name: str) -> None:
    svr = SVR(WithLoss(LOSSES[name]), torch.randn(2, 6))
    assert list(svr.links) == [("a", "b")]
    assert not any("no link a -> b" in note for note in svr.notes)


def test_a_loss_that_reads_the_weights_is_nothing() -> None:
    class Penalised(WithLoss):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y, loss = super().forward(x)
            return y, loss + sum(p.square().sum() for p in self.parameters())

    svr = SVR(Penalised(LOSSES["mse"]), torch.randn(2, 6))
    assert list(svr.links) == [("a", "b")]


def test_an_unknown_operator_stops_the_way_that_it_stands_on() -> None:
    svr = SVR(Between(unknown), torch.randn(4, 4))
    assert list(svr.links) == [("b", "c"), ("c", "o")]
    (note,) = [note for note in svr.notes if note.startswith("no link")]
    assert note.startswith("no link a -> o: aten.linalg_qr")
    assert note.endswith("is not known here")


def test_the_model_is_refused_where_nothing_is_left() -> None:
    with pytest.raises(TraceError, match=r"linalg_qr.* in the model's own forward \(Between\)"):
        SVR(Between(unknown, beside=False), torch.randn(4, 4), exclude=["b", "c"])


def test_a_weight_that_an_unknown_operator_reads_is_named() -> None:
    class Solved(Between):
        def forward(self, x: Tensor) -> Tensor:
            y = torch.linalg.solve(self.b.weight, self.a(x).T).T
            return self.o(y + self.c(x))

    svr = SVR(Solved(nn.Identity()), torch.randn(4, 4))
    assert list(svr.links) == [("c", "o")]
    notes = " ".join(svr.notes)
    assert "a -> b" in notes
    assert "b -> o" in notes
    assert "a -> o" in notes


class Block(nn.Module):
    """A residual block, the inside of which is nobody's business."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm = nn.Linear(4, 4), nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.inner(x))


def test_an_excluded_module_is_a_wall() -> None:
    model = nn.Sequential(nn.Linear(4, 4), Block(), nn.Linear(4, 4), nn.Linear(4, 2))
    assert ("0", "2") in SVR(model, torch.randn(2, 4)).links
    svr = SVR(model, torch.randn(2, 4), exclude="1")
    assert list(svr.links) == [("2", "3")]
    (note,) = [note for note in svr.notes if note.startswith("no link")]
    assert note == "no link 0 -> 2: '1', which is left out, keeps no channel identity"


def test_a_map_alone_may_be_left_out_of_its_module() -> None:
    model = nn.Sequential(nn.Linear(4, 4), Block(), nn.Linear(4, 4), nn.Linear(4, 2))
    svr = SVR(model, torch.randn(2, 4), exclude="1.inner")
    assert list(svr.links) == [("0", "2"), ("2", "3")]


def test_what_is_inside_of_a_wall_need_not_be_known() -> None:
    class Odd(Block):
        def forward(self, x: Tensor) -> Tensor:
            return unknown(self.inner(x))

    model = nn.Sequential(Odd(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    svr = SVR(model, torch.randn(4, 4), exclude="0")
    assert list(svr.links) == [("1", "3")]
    assert not any("no link" in note for note in svr.notes)


def test_a_link_without_an_adjacency_is_left_out_when_the_graph_is_made() -> None:
    class Soft(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.g, self.o = nn.Linear(8, 2), nn.Linear(8, 3)
            self.e = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            g = self.g(x).softmax(-1)
            return self.o(sum(g[:, k : k + 1] * e(x) for k, e in enumerate(self.e)))

    svr = SVR(Soft(), torch.randn(2, 8))
    assert list(svr.links) == [("e.0", "o"), ("e.1", "o")]
    assert svr.notes == (
        "no link g -> o: some channels travel more often than others, for which no adjacency is "
        "defined",
    )
    svr.edges(p=1)
    assert list(svr.by_method("cosvr").links) == list(svr.links)


def test_a_link_that_one_method_defines_comes_back_with_it() -> None:
    class Pooled(nn.Module):
        """Channels of a pooled and of a flattened branch side by side."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.o = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 3, 3), nn.Linear(2 + 12, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.o(torch.cat([self.a(x).mean((2, 3)), self.b(x).flatten(1)], 1))

    svr = SVR(Pooled(), torch.randn(1, 1, 4, 4))
    assert list(svr.links) == [("a", "o"), ("b", "o")]
    other = SVR(Pooled(), torch.randn(1, 1, 4, 4), method="cosvr")
    assert list(other.links) == [("a", "o")]
    assert any("no link b -> o" in note and "'cosvr'" in note for note in other.notes)
    other.edges(p=1)
    assert list(other.by_method("svr").links) == list(svr.links)
    assert list(svr.by_method("cosvr").links) == [("a", "o")]


# Notes and messages.


class Listed(nn.Module):
    """Layers in a plain list, which run and are no part of the model."""

    def __init__(self, kept: Callable[[list[nn.Module]], Any]) -> None:
        super().__init__()
        self.hidden, self.head = kept([nn.Linear(8, 8), nn.Linear(8, 8)]), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.head(x)


def test_layers_in_a_plain_list_are_said() -> None:
    svr = SVR(Listed(list), torch.randn(2, 8))
    (note,) = [note for note in svr.notes if "nn.ModuleList" in note]
    assert note.startswith("4 weights run that are no parameter of the model (8x8, 8 and 2 more")
    better = SVR(Listed(nn.ModuleList), torch.randn(2, 8))
    assert list(better.links) == [("hidden.0", "hidden.1"), ("hidden.1", "head")]
    assert better.notes == ()


class WithoutForward(nn.Module):
    """Maps that some other code calls."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)


@pytest.mark.parametrize(
    "model", [WithoutForward(), nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 2)])]
)
def test_models_without_forward(model: nn.Module) -> None:
    with pytest.raises(TraceError, match="has no forward") as error:
        SVR(model)
    assert "example_inputs" not in str(error.value)
    first, second = dict(model.named_children())
    assert f"links=[({first!r}, {second!r}), ...]" in str(error.value)
    assert list(SVR(model, links=[(first, second)]).links) == [(first, second)]
    assert len(SVR(model.state_dict()).maps) == 2


def test_a_mapping_may_be_the_one_positional_argument() -> None:
    class OfBatch(WithoutForward):
        def forward(self, batch: dict[str, Tensor]) -> Tensor:
            return self.b(self.a(batch["x"]).relu())

    batch = {"x": torch.randn(2, 4)}
    assert list(SVR(OfBatch(), batch).links) == [("a", "b")]
    assert list(SVR(OfBatch(), (batch,)).links) == [("a", "b")]
    assert "a" in SVR(OfBatch(), batch).spectral_activations(batch)


def test_the_reason_is_never_empty() -> None:
    class Silent(WithoutForward):
        def forward(self, x: Tensor) -> Tensor:
            raise NotImplementedError

    with pytest.raises(TraceError, match=r"NotImplementedError in forward\(\), line \d+: raise"):
        SVR(Silent(), torch.randn(2, 4))


def test_weights_without_values() -> None:
    with torch.device("meta"):
        model = nn.Linear(3, 4)
    with pytest.raises(SVRError, match="meta device, without values"):
        SVR(model, torch.randn(1, 3))


def test_maps_that_are_not_used_are_counted_and_two_are_named() -> None:
    class Spare(Branches):
        def __init__(self) -> None:
            super().__init__()
            self.spare = nn.ModuleList(nn.Linear(4, 4) for _ in range(5))

        def forward(self, x: Tensor) -> Tensor:
            return self.o(self.a(x) + self.b(x))

    svr = SVR(Spare(), torch.randn(2, 3))
    assert svr.notes == ("5 maps ('spare.0', 'spare.1' and 3 more) are not used by this input",)


def test_a_weight_that_is_read_is_not_said_to_be_unused() -> None:
    class Scaled(Branches):
        def forward(self, x: Tensor) -> Tensor:
            return self.o(self.a(x) @ torch.roll(self.b.weight, 1, 0)[[0, 0, 1, 2]])

    svr = SVR(Scaled(read=3), torch.randn(2, 3))
    assert list(svr.links) == []
    assert svr.notes == (
        "map 'b' is without links, for its weight is used in a way not known here",
        "no link a -> o: mm with b.weight (no map) keeps no channel identity",
    )


def test_hooks_that_are_not_run_are_one_note() -> None:
    class Seen:
        def __init__(self) -> None:
            self.shapes: list[torch.Size] = []

        def note(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
            self.shapes.append(output.shape)

    model, seen = nn.Sequential(*(nn.Linear(4, 4) for _ in range(4))), Seen()
    for layer in model:
        layer.register_forward_hook(seen.note)
    (note,) = SVR(model, torch.randn(2, 4)).notes
    assert note.startswith("4 hooks ")
    assert note.endswith("of '0' (Linear), '1' (Linear) and 2 more")
    assert seen.shapes == []


@pytest.mark.parametrize(
    "holds", [nn.ModuleList, lambda made: nn.ModuleDict(zip("abc", made, strict=True))]
)
def test_experts_that_no_token_chose_have_the_links_of_the_others(
    holds: Callable[[list[nn.Module]], nn.Module],
) -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router, self.o = nn.Linear(4, 3), nn.Linear(4, 2)
            self.e = holds([nn.Linear(4, 4) for _ in range(3)])

        def forward(self, x: Tensor) -> Tensor:
            best, out = self.router(x).argmax(-1), torch.zeros_like(x)
            for at, expert in enumerate(self.e.children()):
                out[best == at] = expert(x[best == at])
            return self.o(out)

    svr = SVR(Experts(), torch.randn(1, 4))
    experts = [name for name in svr.maps if name.startswith("e.")]
    assert len(experts) == 3
    assert sorted(svr.links) == [(name, "o") for name in sorted(experts)]
    assert "maps that this input did not reach have the links of the others: 2 of 3 of 'e'" in (
        svr.notes
    )


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_a_module_of_torch_export_is_traced(inside: bool, live: bool) -> None:
    x = torch.randn(2, 4)
    given = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 4))
    module = torch.export.export(given, (x,)).module()
    model, above = (nn.Sequential(module, nn.Linear(4, 3)), "0.") if inside else (module, "")
    svr = SVR(model, x, run_live=live)
    assert (f"{above}0", f"{above}2") in svr.links
    assert not svr.notes
    with pytest.warns(UserWarning, match="multiplies with it"):  # no layer is called
        svr.spectral_activations(x)


def test_a_layer_whose_weight_is_multiplied_the_other_way_round_is_two_maps() -> None:
    class Scaled(Branches):
        def forward(self, x: Tensor) -> Tensor:
            return self.o(self.a(x) @ self.b.weight)

    svr = SVR(Scaled(read=3), torch.randn(2, 3))
    assert list(svr.links) == [("a", "b.weight[T]"), ("b.weight[T]", "o")]
