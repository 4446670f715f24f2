"""Rough costs from shapes alone, to tell work for the blink of an eye from work for a thread."""

from __future__ import annotations

from collections.abc import Mapping

from svr_widget.engine.decompose.preview import BLOCK, LEAST_STEPS
from svr_widget.engine.graph.adjacency import Method, sides
from svr_widget.engine.maps.bundles import Bundle
from svr_widget.engine.maps.linear_map import LinearMap

# Measured on two ordinary cores: floating-point operations in a second, the n^3 of an
# eigendecomposition, an entry's share of the passes over an adjacency and its sort, and what any
# link takes, however small, by itself and in a bundle.
OPERATIONS_PER_SECOND = 5e10
EIGENDECOMPOSITION = 20.0
ENTRY = 500.0
LINK_SECONDS = 2e-3
BUNDLED_LINK_SECONDS = 1e-4
# A map that takes longer has a preview first, if that is at least so many times quicker.
SLOW_SECONDS = 1.0
WORTH_WHILE = 10.0


def decomposition_seconds(linear: LinearMap) -> float:
    """By the Gram driver: two matrix products and an eigendecomposition of the short side.

    Of the product of two thin matrices the two orthogonal factorisations, and one of its core.
    """
    out_side, in_side = linear.out_channels // linear.groups, linear.shape[1]
    short, long = sorted((out_side, in_side * linear.positions))
    if linear.product_of is not None:
        inner = linear.neurons()
        operations = 8.0 * (out_side + in_side) * inner**2 + EIGENDECOMPOSITION * inner**3
        return operations / OPERATIONS_PER_SECOND
    operations = 3.0 * short**2 * long + EIGENDECOMPOSITION * short**3
    return linear.groups * operations / OPERATIONS_PER_SECOND


def is_slow(linear: LinearMap) -> bool:
    """Whether a preview of a map is there long before its decomposition.

    Not where one side is short: there a decomposition takes hardly more than the products of
    a preview. Nor of a product of two thin matrices, which is its own short cut.
    """
    exact = decomposition_seconds(linear)
    if len(linear.factors) > 1 or exact < SLOW_SECONDS:
        return False
    entries = float(linear.out_channels) * linear.shape[1] * linear.positions
    return WORTH_WHILE * LEAST_STEPS * 4.0 * BLOCK * entries / OPERATIONS_PER_SECOND < exact


def links_seconds(bundle: Bundle, maps: Mapping[str, LinearMap], method: Method) -> float:
    """The adjacencies of links and their tests."""
    out_side, in_side = sides(method)
    sent = [(maps[name].neurons(out_side), maps[name].positions) for name in bundle.producers]
    read = [(maps[name].neurons(in_side), maps[name].positions) for name, _ in bundle.consumers]
    shared = bundle.link.shared

    def operations(ends: list[tuple[int, int]], kernels: bool) -> float:
        return sum(m * (2.0 * shared * (y if kernels else 1) + ENTRY) for m, y in ends)

    if method == "cosvr":
        entries = operations(sent, True) * sum(n for n, _ in read)
    else:
        entries = sum(m for m, _ in sent) * operations(read, method == "svr")
    each = LINK_SECONDS if len(bundle) == 1 else BUNDLED_LINK_SECONDS
    return len(bundle) * each + entries / OPERATIONS_PER_SECOND
