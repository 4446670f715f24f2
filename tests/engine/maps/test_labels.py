"""What columns are called on a picture."""

from __future__ import annotations

import pytest
import torch

from svr_widget.engine.maps.labels import Labels, labels_of
from svr_widget.engine.maps.linear_map import map_of

KINDS = {"e": "embedding", "c": "convolution", "l": "linear", "a": "attention"}


def called(names: dict[str, str]) -> Labels:
    """Labels of columns that are given by name and first letter of their kind."""
    weight = torch.ones(1, 1)
    return labels_of({name: map_of(name, KINDS[kind], weight) for name, kind in names.items()})


@pytest.mark.parametrize(
    ("names", "labels", "shared"),
    [
        (
            {"0": "c", "2": "c", "5": "l", "7": "l"},
            ["Conv 1", "Conv 2", "Linear 1", "Linear 2"],
            "",
        ),
        ({"0.0": "c", "1.0": "c", "1.0~": "c"}, ["Conv 1", "Conv 2", "Conv 2~"], ""),
        (
            {"0[QK.0]": "a", "0[OV.0]": "a", "1": "l"},
            ["Attention 1 [QK.0]", "Attention 1 [OV.0]", "Linear 1"],
            "",
        ),
        ({"conv1": "c", "layer1.0.conv1": "c", "layer2.0.conv1": "c", "fc": "l"}, None, ""),
        (
            {"transformer.wte": "e", "transformer.h.0.fc": "l", "transformer.h.1.fc": "l"},
            ["wte", "h.0.fc", "h.1.fc"],
            "transformer.",
        ),
        (
            {"m.h.0.fc": "l", "m.h.1.fc": "l", "m.h.1.proj": "l", "head": "l"},
            ["h.0.fc", "h.1.fc", "h.1.proj", "head"],
            "m.",
        ),
        # Without the beginning, two would have one name; a number alone would say nothing.
        ({"m.fc": "l", "m.proj": "l", "m.last": "l", "fc": "l"}, None, ""),
        ({"features.0": "c", "features.3": "c"}, None, ""),
        # Half of the columns do not have it.
        ({"a.x": "l", "a.y": "l", "x1": "l", "y1": "l"}, None, ""),
        ({"only.one": "l"}, None, ""),
    ],
)
def test_labels(names: dict[str, str], labels: list[str] | None, shared: str) -> None:
    found = called(names)
    assert list(found.of.values()) == (labels or list(names))
    assert (list(found.of), found.shared) == (list(names), shared)
