"""What stored factors on a link multiply each of its channels by."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from svr_widget.engine.maps.links import Link


def gains_of(link: Link, folded: Collection[str] = ()) -> Tensor | None:
    """The product of the factors of a link's ``steps``, as ``Link.gains`` has it.

    Args:
        link: a traced one.
        folded: names of norms that are in the weights already.
    """
    gains = torch.ones(link.shared, dtype=torch.float64)
    for step in link.steps:
        if step.kind == "unfoldable":
            gains[:] = torch.nan
        elif step.factors is not None and step.name not in folded:
            gains *= step.factors[link.producer_channels]
    return None if bool((gains == 1).all()) else gains
