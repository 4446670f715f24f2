"""Weights of a file without a model stay there, and are read map by map."""

from __future__ import annotations

import pickle

import pytest
import torch
from safetensors.torch import save_file

from svr_widget import SVR, SVRError
from svr_widget.engine.maps.stored import StoredTensor, read_elsewhere
from tests.engine.support.gaussian import gaussian

KEPT = {
    "0.weight": gaussian(6, 4, 3, 3),
    "0.bias": gaussian(6),
    "1.weight": gaussian(6, 5, 2, 2, seed=1),  # a transposed convolution, by its bias
    "1.bias": gaussian(5),
    "2.weight": gaussian(7, 5, 3, 3, seed=2).bfloat16(),
    "3.weight": gaussian(8, 7 * 4, seed=3).double(),  # reads them flattened
}


@pytest.fixture(params=["safetensors", "shards", "pt", "nested pt"])
def path(request, tmp_path):
    match request.param:
        case "safetensors":
            save_file(KEPT, tmp_path / "w.safetensors")
            return tmp_path / "w.safetensors"
        case "shards":
            names = {name: f"part-{int(name[0]) % 2}.safetensors" for name in KEPT}
            for shard in set(names.values()):
                held = {name: KEPT[name] for name in KEPT if names[name] == shard}
                save_file(held, tmp_path / shard)
            (tmp_path / "model.safetensors.index.json").write_text(
                str({"weight_map": names}).replace("'", '"')
            )
            return tmp_path
        case "pt":
            torch.save(KEPT, tmp_path / "w.pt")
            return tmp_path / "w.pt"
        case _:
            torch.save({"epoch": 3, "state_dict": KEPT}, tmp_path / "w.pt")
            return tmp_path / "w.pt"


@pytest.mark.parametrize("links", [None, "chain"])
def test_they_are_those_of_the_mapping(path, links):
    svr, mapping = SVR(path, links=links), SVR(KEPT, links=links)
    assert list(svr.maps) == list(mapping.maps)
    for name, linear in mapping.maps.items():
        assert isinstance(svr.maps[name].factors[0], StoredTensor)
        assert svr.maps[name].kind == linear.kind
        assert svr.maps[name].weight.dtype == linear.weight.dtype
        assert torch.equal(svr.maps[name].weight, linear.weight)
        assert torch.equal(svr[name].U, mapping[name].U)
    assert (links is None) == bool(svr.unlinked)
    assert svr.edges(p=0.5).equals(mapping.edges(p=0.5)) if links else True


def test_what_is_given_out_is_a_copy(path):
    svr = SVR(path)
    before = svr["0"].S.clone()
    svr.maps["0"].weight.clone().zero_()
    given = svr.maps["0"].factors[0].read()
    given.zero_()
    assert torch.equal(svr.maps["0"].weight, KEPT["0.weight"])
    assert torch.equal(SVR(path)["0"].S, before)


def test_handles_say_where_a_weight_is(path):
    svr = SVR(path, links="chain")
    for linear in svr.maps.values():
        handle = read_elsewhere(linear.factors[0])
        assert (handle is not None) == (path.suffix != ".pt")
        if handle is not None:
            again = pickle.loads(pickle.dumps(handle))
            assert torch.equal(again.values(), linear.weight)


def test_one_that_is_written_to_is_told(path):
    svr = SVR(path)
    file = next(path.glob("part-0*")) if path.is_dir() else path
    with file.open("r+b") as held:
        held.seek(-1, 2)
        held.write(b"\1")
    with pytest.raises(SVRError, match="was written to after its weights were mapped"):
        svr.compute()


def test_codes_and_adapters_are_read_when_they_are_needed(tmp_path):
    codes = torch.randint(-127, 127, (6, 4), dtype=torch.int8)
    held = {
        "a.weight": codes,
        "a.weight_scale": torch.rand(6, 1) + 0.5,
        "b.lora_A.weight": gaussian(2, 6),
        "b.lora_B.weight": gaussian(5, 2),
    }
    save_file(held, tmp_path / "w.safetensors")
    svr, mapping = SVR(tmp_path / "w.safetensors"), SVR(held)
    for name, linear in mapping.maps.items():
        assert read_elsewhere(svr.maps[name].factors[0]) is None
        assert torch.equal(svr.maps[name].weight, linear.weight)
        assert torch.equal(svr[name].S, mapping[name].S)


def test_damaged_ones_are_told_at_once(tmp_path):
    held = {"a.weight": gaussian(4, 4), "b.weight": gaussian(4, 4, seed=1)}
    held["b.weight"][2, 1] = torch.inf
    held["b.weight"][0, 0] = torch.nan
    save_file(held, tmp_path / "w.safetensors")
    with pytest.raises(SVRError, match="'b' has 2 NaN or infinite of 16"):
        SVR(tmp_path / "w.safetensors")
    svr = SVR(tmp_path / "w.safetensors", non_finite="leave out")
    assert list(svr.maps) == ["a"]
