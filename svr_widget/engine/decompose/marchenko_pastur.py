"""Where the singular values of a matrix of noise end: the edges of the Marchenko-Pastur law."""

from __future__ import annotations

import math

from svr_widget.engine.decompose import Decomposition


def marchenko_pastur_edges(neurons: Decomposition) -> tuple[float, float]:
    """The smallest and largest singular value of noise with this map's shape and energy.

    For independent entries of variance ``sigma^2``, here the mean square of the map's own, the
    singular values of an ``a x b`` matrix lie between ``sigma |sqrt(a) - sqrt(b)|`` and
    ``sigma (sqrt(a) + sqrt(b))`` as both grow (Marchenko and Pastur 1967). What lies above has a
    direction that noise of this size does not have. A grouped map is several such matrices.

    Args:
        neurons: spectral neurons of a map; not of a product of two matrices, for which there is
            another law.

    Returns:
        The two edges, in the units of the singular values.
    """
    a = math.prod(neurons.U.shape[:-1])
    b = math.prod(neurons.V.shape[:-1])
    sigma = math.sqrt(neurons.energy / (neurons.group_count * a * b))
    return sigma * abs(math.sqrt(a) - math.sqrt(b)), sigma * (math.sqrt(a) + math.sqrt(b))
