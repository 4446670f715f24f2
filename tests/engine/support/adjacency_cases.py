"""Links of every form between two random weights."""

import torch

from svr_widget.engine.decompose import decompose
from svr_widget.engine.graph.adjacency import Adjacency
from svr_widget.engine.maps.links import Link
from tests.engine.support.gaussian import gaussian


def every(channels):
    return torch.arange(channels)


def link_of(producer_channels, consumer_channels=None):
    read = producer_channels if consumer_channels is None else consumer_channels
    return Link("first", "second", producer_channels, read)


def between(first, second, link=None, method="svr", groups=(1, 1), **options):
    """The adjacency of a link between two weights."""
    sides = {"svr": ("svr", "svr"), "cosvr": ("cosvr", "cosvr"), "cross": ("svr", "cosvr")}[method]
    producer = decompose(first, groups[0], sides[0])
    consumer = decompose(second, groups[1], sides[1])
    link = link or link_of(every(first.shape[0]))
    return Adjacency(link, producer, consumer, method, **options)


CASES = {
    "linear": ((6, 9), (5, 6), (1, 1), None),
    "convolution": ((6, 2, 3), (5, 6, 2, 2), (1, 1), None),
    "wide": ((3, 8), (7, 3, 2), (1, 1), None),
    "split": ((6, 4), (5, 3, 2), (1, 1), (torch.tensor([1, 4, 2]), torch.tensor([0, 1, 2]))),
    "concatenated": ((4, 5), (5, 9, 2), (1, 1), (every(4), torch.tensor([7, 0, 3, 8]))),
    "flat features": ((3, 4), (6, 10), (1, 1), (every(3), torch.tensor([[0, 5], [9, 1], [2, 7]]))),
    "one position": ((3, 4), (6, 10), (1, 1), (every(3), torch.tensor([[0], [9], [2]]))),
    "depthwise consumer": ((4, 7), (4, 1, 3), (1, 4), None),
    "depthwise producer": ((4, 1, 3), (6, 4), (4, 1), None),
    "depthwise both": ((4, 1, 3), (8, 1, 2), (4, 4), None),
    "grouped": ((6, 2, 3), (9, 2, 2), (2, 3), None),
    "groups shuffled": ((6, 2), (4, 3), (3, 2), (every(6), torch.tensor([0, 3, 1, 4, 2, 5]))),
    "no channel": ((3, 4), (5, 3), (1, 1), (every(0), every(0))),
}


def case(name, method="svr", **options):
    first, second, groups, channels = CASES[name]
    link = None if channels is None else link_of(*channels)
    weights = gaussian(*first, seed=1), gaussian(*second, seed=2)
    return between(*weights, link, method, groups, **options)
