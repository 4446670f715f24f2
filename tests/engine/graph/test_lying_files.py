"""Saved graphs that lie, their check sums right: refused by name, before it costs anything."""

import json
import re
import resource

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.links import Link
from svr_widget.svr import SVR
from tests.engine.support.gaussian import gaussian
from tests.engine.support.spoiling import DEEP, parts, with_sums

HUGE = 10**12


def of_map(**changes):
    return lambda record, _: record["maps"][1].update(changes)


def of_link(**changes):
    return lambda record, _: record["links"][0].update(changes)


def of_neurons(**changes):
    return lambda record, _: record["decompositions"][0][2].update(changes)


def of_settings(**changes):
    return lambda record, _: record["settings"].update(changes)


def shape(*sizes, dtype="torch.float32", order=None):
    order = list(range(len(sizes))) if order is None else order
    return [{"is": "shape", "of": list(sizes), "dtype": dtype, "order": order}]


def tensor(name, change):
    def altered(_, tensors):
        tensors[name] = change(tensors[name])

    return altered


def at(value, *places):
    """A tensor with entries replaced."""

    def change(held):
        held = held.clone()
        for place in places:
            held.reshape(-1)[place] = value
        return held

    return change


def twice(key):
    return lambda record, _: record[key].append(record[key][0])


def cycle(record, _):
    record["links"].append({**record["links"][0], "producer": "1", "consumer": "0"})


def a_tie(record, _):
    record["maps"][0]["tied_to"] = "1"


def lists(key):
    return lambda record, _: record.update({key: DEEP})


LIES = {
    "a map of 10^12 x 10^12": of_map(factors=shape(HUGE, HUGE)),
    "a map that fits no link": of_map(factors=shape(5, 40)),
    "a map of no size": of_map(factors=shape(0, 4)),
    "a map of a negative size": of_map(factors=shape(-5, 4)),
    "a map of one dimension": of_map(factors=shape(20)),
    "a map of integers": of_map(factors=shape(5, 4, dtype="torch.int64")),
    "a map in no order": of_map(factors=shape(5, 4, order=[0, 0])),
    "a map without a weight": of_map(factors=[]),
    "a product that is none": of_map(factors=shape(5, 3) + shape(2, 4)),
    "10^12 groups": of_map(groups=HUGE),
    "no groups": of_map(groups=0),
    "groups of halves": of_map(groups=2.5),
    "groups that are true": of_map(groups=True),
    "a depth of 10^12": of_map(depth=HUGE),
    "a negative depth": of_map(depth=-1),
    "before what feeds it": of_map(depth=0),
    "a name that is none": of_map(name=["1"]),
    "two maps of one name": of_map(name="0"),
    "another kind": of_map(kind=3),
    "a remark that is a list": of_map(remark=[]),
    "tied to nothing": of_map(tied_to="7"),
    "tied to itself": of_map(tied_to="1"),
    "tied to a later map": a_tie,
    "a layout that is none": of_map(input_layout={"is": "Link"}),
    "a layout of a map": of_map(input_layout="x"),
    "normals of another length": of_map(normals=[shape(9)[0], None]),
    "one normal": of_map(normals=[None]),
    "a map twice": twice("maps"),
    "a link to nowhere": of_link(consumer="7"),
    "a link from nowhere": of_link(producer=None),
    "a link backward by a word": of_link(backward="no"),
    "a link by construction by a word": of_link(by_construction="no"),
    "a link into a side": of_link(side="v"),
    "a link with steps": of_link(steps=[{"is": "Step"}]),
    "a link through a number": of_link(through=[3]),
    "a link through a text": of_link(through="relu"),
    "gains of a map": of_link(gains={"is": "tensor", "name": "neurons.0.U", "order": [0, 1]}),
    "channels that are a text": of_link(producer_channels="all"),
    "channels without values": of_link(producer_channels=shape(4, dtype="torch.float64")[0]),
    "a cycle": cycle,
    "channel -1": tensor("link.0.producer_channels", at(-1, 2)),
    "channel 4 of 4": tensor("link.0.producer_channels", at(4, 2)),
    "channel 10^12": tensor("link.0.producer_channels", at(HUGE, 2)),
    "channels of another number": tensor("link.0.producer_channels", lambda held: held[:2].clone()),
    "channels in halves": tensor("link.0.producer_channels", lambda held: held.double()),
    "neurons of another map": lambda record, _: record["decompositions"][0].__setitem__(0, "7"),
    "neurons by another method": lambda record, _: record["decompositions"][0].__setitem__(1, "x"),
    "neurons twice": twice("decompositions"),
    "no neurons": lambda record, _: record["decompositions"].clear(),
    "neurons that are a map": lambda record, _: record["decompositions"][0].__setitem__(
        2, record["maps"][0]
    ),
    "10^12 neurons": of_neurons(rank=HUGE),
    "10^12 groups of neurons": of_neurons(group_count=HUGE),
    "neurons by the co-SVR": of_neurons(method="cosvr"),
    "no certificate": of_neurons(certificate=None),
    "an energy of NaN": of_neurons(energy=float("nan")),
    "confined by a word": of_neurons(confined="ab"),
    "a rounding below zero": of_neurons(rounding=-1.0),
    "a rounding that is a text": of_neurons(rounding="x"),
    "neurons without values": of_neurons(U=shape(4, 3)[0]),
    "U of NaN": tensor("neurons.0.U", at(float("nan"), 5)),
    "V of infinity": tensor("neurons.0.V", at(float("inf"), 0)),
    "S of NaN": tensor("neurons.0.S", at(float("nan"), 1)),
    "S below zero": tensor("neurons.0.S", at(-1.0, 1)),
    "S of integers": tensor("neurons.0.S", lambda held: held.long()),
    "V cut short": tensor("neurons.0.V", lambda held: held[:2].clone()),
    "a group of 10^12": tensor("neurons.0.groups", at(HUGE, 0)),
    "a cluster of another type": tensor("neurons.0.clusters", lambda held: held.float()),
    "null by numbers": tensor("neurons.0.null", lambda held: held.long()),
    "fewer that are null": tensor("neurons.0.null", lambda held: held[:1].clone()),
    "a tensor more": lambda _, tensors: tensors.update(more=torch.zeros(3)),
    "no tensor of that name": lambda record, _: record["maps"][1].update(
        factors=[{"is": "tensor", "name": "gone", "order": [0, 1]}]
    ),
    "a seed that is a text": of_settings(seed="x"),
    "a rank of -1": of_settings(rank=-1),
    "a rank of 1.5": of_settings(rank=1.5),
    "another rank": of_settings(rank=1),
    "another method": of_settings(method="x"),
    "a setting more": of_settings(more=1),
    "no settings": lambda record, _: record.pop("settings"),
    "no maps": lambda record, _: record.pop("maps"),
    "maps that are a number": lambda record, _: record.update(maps=3),
    "a title that is a list": lambda record, _: record.update(title=[]),
    "notes that are numbers": lambda record, _: record.update(notes=[3]),
    "sums that are a list": lambda record, _: record.update(sums=[]),
    "maps 10,000 lists deep": lists("maps"),
    "notes 10,000 lists deep": lists("notes"),
    "a class of another kind": of_map(**{"is": "Popen"}),
    "a class that is a list": of_map(**{"is": []}),
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "graph.safetensors"
    link = Link("0", "1", torch.arange(4), torch.arange(4).flip(0))
    SVR([gaussian(4, 3), gaussian(5, 4)], links=[link]).save(path)
    return path


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_refused_by_the_name_of_the_file(lie, path):
    metadata, tensors = parts(path)
    record = json.loads(metadata["svr"])
    LIES[lie](record, tensors)
    save_file(tensors, path, metadata | with_sums(record, tensors))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SVRError, match=re.escape(f"{path} is damaged")) as refused:
        SVR.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"
    assert len(str(refused.value)) < 100_000


def test_the_truth_passes(path):
    metadata, tensors = parts(path)
    save_file(tensors, path, metadata | with_sums(json.loads(metadata["svr"]), tensors))
    assert len(SVR.load(path).edges(p=0.9))


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}',
        b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,-4]}}',
        b'{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,0]}}',
        b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b"{" + b'"a":{},' * 3,
        b"\xff" * 40,
    ],
)
def test_headers_that_lie_of_sizes(header, path):
    rest = np.zeros(16, np.uint8).tobytes()
    path.write_bytes(len(header).to_bytes(8, "little") + header + rest)
    for read in (SVR.load, SVR):
        with pytest.raises(SVRError, match=re.escape(str(path))):
            read(path)


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**62, 2**64 - 1])
def test_headers_that_lie_of_their_length(length, path):
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    for read in (SVR.load, SVR):
        with pytest.raises(SVRError, match=re.escape(str(path))):
            read(path)
