"""A row a map and a link, against the weights and the adjacency matrices themselves."""

import numpy as np
import pytest
import torch
from torch import nn

from svr_widget import SVR


@pytest.fixture
def model() -> nn.Sequential:
    layers = nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=2), nn.ReLU(), nn.Flatten()
    made = nn.Sequential(*layers, nn.Linear(6 * 4, 5))
    with torch.no_grad():
        made[0].weight[4] = 0
        made[5].weight[1] = made[5].weight[0]
    return made


def test_maps(model: nn.Sequential) -> None:
    table = SVR(model, torch.zeros(1, 2, 6, 6)).summary()
    maps = table[table["kind"] == "map"].set_index("name")
    for name in ("0", "5"):
        matrix = model[int(name)].weight.detach().double()
        if name == "0":
            matrix = matrix.flatten(1)
        else:
            # A neuron's V is a filter over 2 x 2 positions: the whole matrix, read so.
            assert maps.loc[name, "kernel"] == "2x2"
        values = torch.linalg.svdvals(matrix)
        assert maps.loc[name, "rank"] == torch.linalg.matrix_rank(matrix.float())
        assert maps.loc[name, "largest"] == pytest.approx(float(values[0]), rel=1e-6)
        assert maps.loc[name, "energy"] == pytest.approx(float(matrix.square().sum()), rel=1e-6)
        stable = float(matrix.square().sum() / values[0] ** 2)
        assert maps.loc[name, "stable_rank"] == pytest.approx(stable, rel=1e-6)
    assert list(maps["dead_channels"]) == [1, 0, 0]
    assert list(maps["out"]) == [6, 6, 5]
    assert list(maps["in"]) == [2, 6, 6]


def test_links(model: nn.Sequential) -> None:
    svr = SVR(model, torch.zeros(1, 2, 6, 6))
    table = svr.summary(p=0.3)
    links = table[table["kind"] == "link"].set_index(["producer", "consumer"])
    edges, every = svr.edges(p=0.3), svr.edges(p=1)
    assert list(links.index) == list(svr.links)
    for (producer, consumer), row in links.iterrows():
        dense = svr.adjacency((producer, consumer)).dense()
        known = ~svr[consumer].null[:, None] & ~svr[producer].null
        assert row["weight"] == dense[known].max()
        assert dense[row["n"], row["m"]] == row["weight"]
        mine = edges[(edges["producer"] == producer) & (edges["consumer"] == consumer)]
        assert row["significant"] == len(mine)
        mine = every[(every["producer"] == producer) & (every["consumer"] == consumer)]
        strongest = mine[(mine["n"] == row["n"]) & (mine["m"] == row["m"])]
        assert strongest["log10_p"].item() == pytest.approx(row["log10_p"])
        found = svr.internal_dimensions((producer, consumer))
        assert (row["d_out"], row["d_in"]) == (found.d_out, found.d_in)


def test_what_is_not_known_is_missing(model: nn.Sequential, tmp_path) -> None:
    svr = SVR(model, torch.zeros(1, 2, 6, 6))
    svr.save(tmp_path / "svr.safetensors")
    loaded = SVR.load(tmp_path / "svr.safetensors").summary()
    assert loaded["dead_channels"].isna().all()
    rest = loaded.columns.drop("dead_channels")
    assert loaded[rest].equals(svr.summary()[rest])
    assert np.isnan(loaded["weight"][:3]).all()


def test_a_link_by_construction_is_told_apart() -> None:
    embedding, head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
    head.weight = embedding.weight
    row = (
        SVR(nn.Sequential(embedding, head), torch.zeros(1, 2, dtype=torch.long)).summary().iloc[-1]
    )
    assert row["by_construction"]
    assert (row["significant"], row["d_out"], row["d_in"], row["p_value"]) == (0, 0, 0, 1)
    assert row[["weight", "n", "m", "log10_p"]].isna().all()
