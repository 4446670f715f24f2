"""Experts of which a forward chooses some: their links do not depend on the tokens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from svr_widget import SVR


class Mixture(nn.Module):
    """A mixture of experts that are modules of a list."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.router, self.o = nn.Linear(4, 6), nn.Linear(6, 3), nn.Linear(5, 2)
        self.experts = nn.ModuleList(self.expert() for _ in range(3))

    def expert(self) -> nn.Module:
        return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 5))

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        best = self.router(h).argmax(-1)
        out = torch.zeros(len(x), 5)
        for at, expert in enumerate(self.experts):
            self.run(out, h, best == at, expert)
        return self.o(out)

    def run(self, out: Tensor, h: Tensor, mask: Tensor, expert: nn.Module) -> None:
        raise NotImplementedError


class ByRows(Mixture):
    def run(self, out: Tensor, h: Tensor, mask: Tensor, expert: nn.Module) -> None:
        rows = torch.where(mask)[0]
        if len(rows):
            out[rows] += expert(h[rows])


class ByMask(Mixture):
    def run(self, out: Tensor, h: Tensor, mask: Tensor, expert: nn.Module) -> None:
        if mask.any():
            out[mask] += expert(h[mask])


class WithoutTokens(Mixture):
    def run(self, out: Tensor, h: Tensor, mask: Tensor, expert: nn.Module) -> None:
        rows = torch.where(mask)[0]
        out.index_add_(0, rows, expert(h[rows]))


class Unlike(ByRows):
    def __init__(self) -> None:
        super().__init__()
        self.experts[1] = nn.Linear(6, 5)


class Unused(nn.Module):
    """Nothing is chosen by the data: what does not run is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.heads = nn.Linear(4, 6), nn.ModuleList(nn.Linear(6, 2) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.heads[0](self.a(x))


EVERY = {
    ("a", "router"),
    *(("a", f"experts.{e}.0") for e in range(3)),
    *((f"experts.{e}.0", f"experts.{e}.2") for e in range(3)),
    *((f"experts.{e}.2", "o") for e in range(3)),
}


@pytest.mark.parametrize("kind", [ByRows, ByMask, WithoutTokens])
@pytest.mark.parametrize("tokens", [1, 16])
def test_experts_have_the_same_links_whether_they_were_reached_or_not(
    kind: type[Mixture], tokens: int
) -> None:
    torch.manual_seed(0)
    svr = SVR(kind().eval(), torch.randn(tokens, 4))
    assert set(svr.links) == EVERY
    if tokens == 1:
        (note,) = [note for note in svr.notes if "did not reach" in note]
        assert note.endswith("2 of 3 of 'experts'")
    assert not [note for note in svr.notes if "not used by this input" in note]
    assert not [note for note in svr.notes if "without links" in note]


def test_nothing_is_taken_out_around_experts_that_were_not_reached() -> None:
    torch.manual_seed(0)
    model = ByRows().eval()
    with torch.no_grad():
        for layer in (model.a, *(expert[0] for expert in model.experts)):
            layer.weight[2], layer.bias[2] = 0, 0
    smaller, report = SVR(model, torch.randn(1, 4)).remove_dead_channels()
    assert smaller.a.out_features == 6
    assert "was not reached by this input" in str(report)


def test_modules_of_other_forms_are_no_siblings() -> None:
    torch.manual_seed(0)
    svr = SVR(Unlike().eval(), torch.randn(1, 4))
    assert sum("experts" in consumer for _, consumer in svr.links) <= 2
    assert [note for note in svr.notes if "not used by this input" in note]


def test_what_no_data_choose_is_not_used() -> None:
    svr = SVR(Unused(), torch.randn(1, 4))
    assert set(svr.links) == {("a", "heads.0")}
    assert [note for note in svr.notes if "not used by this input" in note]
