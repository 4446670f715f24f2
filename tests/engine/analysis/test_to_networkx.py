"""The networkx graph against the frames."""

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

from svr_widget.engine.errors import ThresholdError
from svr_widget.engine.maps.links import Link
from svr_widget.svr import SVR
from tests.engine.support.gaussian import gaussian


@pytest.mark.parametrize("method", ["svr", "cross"])
def test_nodes_and_edges_are_those_of_the_frames(method):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.Conv2d(5, 4, 3))
    svr = SVR(model, method=method)
    graph = svr.to_networkx(p=0.3)
    assert type(graph) is nx.DiGraph
    assert graph.graph == {"title": "Sequential", "method": method}
    neurons = svr.neurons()
    assert list(graph) == list(zip(neurons["map"], neurons["k"], strict=True))
    for name in ("map", "k", "singular_value", "intensity", "null"):
        assert [data[name] for _, data in graph.nodes(data=True)] == neurons[name].tolist()
    assert set(nx.get_node_attributes(graph, "kind").values()) == {"convolution"}
    assert graph.nodes["3", 0]["depth"] == 2
    edges = svr.edges(p=0.3)
    assert graph.number_of_edges() == len(edges) > 0
    for row in edges.itertuples():
        data = graph.edges[(row.producer, row.m), (row.consumer, row.n)]
        assert (data["weight"], data["log10_p"]) == (row.weight, row.log10_p)
        assert data["link"] == f"{row.producer} -> {row.consumer}".replace("~", "")


def test_parallel_links_make_a_multigraph():
    some = torch.tensor([0, 2]), torch.tensor([1, 0])
    links = [Link("0", "1", *some), Link("0", "1", some[1], some[0])]
    svr = SVR([gaussian(3, 4), gaussian(5, 3)], links=links)
    graph = svr.to_networkx(p=1)
    assert type(graph) is nx.MultiDiGraph
    assert graph.number_of_edges() == 2 * 3 * 3
    links = nx.get_edge_attributes(graph, "link").values()
    assert set(links) == {"0 -> 1", "0 -> 1 -> 1"}


def test_the_frame_says_which_of_parallel_links_an_edge_belongs_to():
    some = torch.tensor([0, 2]), torch.tensor([1, 0])
    weights = [gaussian(3, 4), gaussian(5, 3), gaussian(2, 5, seed=1)]
    links = [Link("0", "1", *some), Link("1", "2", *some), Link("0", "1", some[1], some[0])]
    svr = SVR(weights, links=links)
    frame = svr.edges(p=1)
    assert set(svr.links) == {("0", "1"), ("1", "2"), ("0", "1", 1)}
    for key, link in svr.links.items():
        number = key[2] if len(key) == 3 else 0
        mine = frame[(frame["producer"] == link.producer) & (frame["link"] == number)]
        dense = svr.adjacency(key).dense().numpy()
        assert len(mine) == dense.size
        assert np.array_equal(dense[mine["n"], mine["m"]], mine["weight"])
    assert "link" not in SVR(weights).edges(p=1)


def test_backward_links_are_edges_too():
    svr = SVR({"a": np.eye(3) + gaussian(3, 3).numpy()}, links=[("a", "a")])
    assert svr.to_networkx(p=1).number_of_edges() == 9


def test_it_can_be_written(tmp_path):
    graph = SVR([gaussian(4, 3), gaussian(5, 4)]).to_networkx(p=0.5)
    nx.write_graphml(graph, tmp_path / "graph.graphml")
    nx.write_gexf(graph, tmp_path / "graph.gexf")
    again = nx.read_graphml(tmp_path / "graph.graphml")
    assert again.number_of_edges() == graph.number_of_edges()


def test_thresholds_are_checked():
    with pytest.raises(ThresholdError, match="out of range"):
        SVR([np.eye(3)]).to_networkx(fdr=2)
