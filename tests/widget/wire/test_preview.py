"""The preview as the page reads it: what is decomposed or nearly known, and who feeds whom."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from svr_widget import SVR
from svr_widget.engine.decompose.preview import preview
from svr_widget.widget.wire.codec import decode
from svr_widget.widget.wire.preview import EXACT, PREVIEW, WAITING, encode_preview
from svr_widget.widget.wire.scene import encode_scene
from tests.widget.scenes import scene_of


class Branched(nn.Module):
    """Two blocks with a map that both of them read."""

    def __init__(self) -> None:
        super().__init__()
        block = nn.ModuleDict({"a": nn.Linear(8, 8), "b": nn.Linear(8, 8)})
        self.block, self.stem, self.head = block, nn.Conv1d(3, 8, 3), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).mean(dim=2).relu()
        return self.head(self.block["b"](self.block["a"](x).relu()) + x)


def test_columns_and_links_are_those_of_the_scene_to_come() -> None:
    svr = SVR(Branched(), torch.zeros(2, 3, 9))
    before, early = decode(encode_preview(svr, {}))
    assert early["state"].tolist() == [WAITING] * len(svr.columns)
    assert len(early["singular_value"]) == 0
    assert not svr.decomposed  # nothing was computed for it
    svr.compute()
    meta, arrays = decode(encode_preview(svr, {}))
    scene, whole = scene_of(encode_scene(svr, 10))
    assert meta["maps"] == scene["maps"]
    told = ("name", "label", "kind", "depth", "module", "out", "in", "kernel", "rank")
    for at, then in zip(before["maps"], scene["maps"], strict=True):
        assert [at[name] for name in told] == [then[name] for name in told]
    for name in ("model", "shared", "method", "norm", "modules"):
        assert meta[name] == before[name] == scene[name]
    assert arrays["state"].tolist() == [EXACT] * len(svr.columns)
    np.testing.assert_array_equal(arrays["singular_value"], whole["singular_value"])
    np.testing.assert_array_equal(arrays["null"], whole["null"])
    pairs = {(link["producer"], link["consumer"], link["flags"]) for link in scene["links"]}
    columns = [arrays[f"link_{name}"].tolist() for name in ("producer", "consumer", "flags")]
    assert sorted(zip(*columns, strict=True)) == sorted(pairs)


def test_leading_values_stand_in_until_a_map_is_decomposed() -> None:
    svr = SVR([torch.randn(6, 4), torch.randn(5, 6)])
    known = preview(svr.maps["1"].weight)
    assert svr["0"] is not None
    for expected in (PREVIEW, EXACT):
        meta, arrays = decode(encode_preview(svr, {"1": known}))
        assert arrays["state"].tolist() == [EXACT, expected]
        first, second = meta["maps"]
        assert (second["start"], second["neurons"]) == (first["neurons"], 5)
        shown = arrays["singular_value"][second["start"] :]
        truth = np.linalg.svd(svr.maps["1"].weight.double().numpy(), compute_uv=False)
        np.testing.assert_allclose(shown, truth, rtol=0.01)
        assert (second["energy"] > 0) == (expected == EXACT)
        assert svr["1"] is not None


def test_a_cross_graph_has_two_columns_of_a_map_and_no_pair_twice() -> None:
    model = nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU(), nn.Conv1d(4, 5, 3), nn.Conv1d(5, 2, 3))
    svr = SVR(model, torch.zeros(1, 3, 20), method="cross")
    meta, arrays = decode(encode_preview(svr, {}))
    assert [each["name"] for each in meta["maps"]] == list(svr.columns)
    ends = list(
        zip(arrays["link_producer"].tolist(), arrays["link_consumer"].tolist(), strict=True)
    )
    order = list(svr.columns)
    assert sorted(ends) == sorted({tuple(map(order.index, svr.ends(key))) for key in svr.links})
