"""Tensors that lie on several processes: read where this one has them whole, else named."""

import pickle
import sys

import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import (
    DTensor,
    Replicate,
    Shard,
    distribute_module,
    distribute_tensor,
)
from torch.testing._internal.distributed.fake_pg import FakeStore

from svr_widget import SVR
from svr_widget.engine.errors import SVRError
from svr_widget.engine.network.checkpoints import torch_saved

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch.distributed, about itself


@pytest.fixture
def mesh(request):
    store = FakeStore()
    dist.init_process_group("fake", rank=0, world_size=request.param, store=store)
    yield dist.init_device_mesh("cpu", (request.param,))
    dist.destroy_process_group()


@pytest.mark.parametrize("mesh", [1], indirect=True)
def test_one_process_has_all_of_it(mesh, tmp_path, monkeypatch):
    weight = torch.randn(6, 4)
    held = {"a.weight": distribute_tensor(weight, mesh, [Shard(0)])}
    assert torch.equal(SVR(held).maps["a"].weight, weight)
    torch.save(held, tmp_path / "w.pt")
    assert torch.equal(SVR(tmp_path / "w.pt").maps["a"].weight, weight)
    # As in a process that has not imported torch.distributed.tensor, which allows its classes.
    # It cannot be imported twice, so what the import does for torch.load is done instead.
    allowed, imported = torch.serialization.get_safe_globals(), []

    def import_module(name):
        imported.append(name)
        torch.serialization.add_safe_globals(allowed)

    monkeypatch.delitem(sys.modules, "torch.distributed.tensor")
    monkeypatch.setattr(torch_saved.importlib, "import_module", import_module)
    torch.serialization.clear_safe_globals()
    try:
        with pytest.raises(pickle.UnpicklingError, match="must be imported"):
            torch.load(tmp_path / "w.pt", weights_only=True)
        assert torch.equal(SVR(tmp_path / "w.pt").maps["a"].weight, weight)
    finally:
        torch.serialization.add_safe_globals(allowed)
    assert imported == ["torch.distributed.tensor"]


@pytest.mark.parametrize("mesh", [4], indirect=True)
def test_a_part_is_refused_by_name_and_a_copy_is_whole(mesh):
    local = torch.randn(2, 3)
    copy = DTensor.from_local(local, mesh, [Replicate()])
    assert torch.equal(SVR({"a": copy}).maps["a"].weight, local)
    part = DTensor.from_local(local, mesh, [Shard(0)])
    message = r"'a' is a DTensor of shape \(8, 3\), of which.*weight\.full_tensor\(\)"
    with pytest.raises(SVRError, match=message):
        SVR({"a": part})


@pytest.mark.parametrize("mesh", [1], indirect=True)
def test_a_model_of_them_says_what_to_give_and_that_works(mesh):
    model = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    whole = {name: weight.clone() for name, weight in model.state_dict().items()}
    distribute_module(model, mesh)
    with pytest.raises(SVRError, match=r"'0' is a DTensor of shape \(4, 6\)") as raised:
        SVR(model)
    advice = str(raised.value).partition("holds them: ")[2]
    gathered = eval(advice, {"model": model})
    assert torch.equal(SVR(gathered).maps["0"].weight, whole["0.weight"])
