"""The linear maps of a traced model, read off its weights as often as they change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.linear_map import LinearMap, linear_map
from svr_widget.engine.maps.links import Layout
from svr_widget.engine.maps.parts import Part
from svr_widget.engine.network.head_products import Product


@dataclass(frozen=True, eq=False)
class Reading:
    """What of a model each map is, known once it was traced; only weights change after that.

    Attributes:
        parts: where the model keeps each map, in order of execution.
        input_layouts: matrices that read flattened ``channels x positions``.
        output_layouts: matrices whose output is unflattened.
        computed: weights that modules were seen to compute as they ran.
    """

    parts: Mapping[str, Part]
    input_layouts: Mapping[str, Layout] = field(default_factory=dict)
    output_layouts: Mapping[str, Layout] = field(default_factory=dict)
    computed: Mapping[str, Tensor] = field(default_factory=dict)

    def matrices(self) -> dict[str, LinearMap]:
        """Every part's weight of this moment, copied, in canonical form."""
        return {
            name: linear_map(
                part,
                self.input_layouts.get(name),
                self.output_layouts.get(name),
                computed=self.computed.get(name),
            )
            for name, part in self.parts.items()
        }


@dataclass(frozen=True, eq=False)
class Arrangement:
    """What becomes of a model's matrices: which are shown, which make products.

    Attributes:
        reading: where the matrices come from.
        depth: the column of each map that is shown, in order of execution.
        products: the maps among them that are products of two matrices.
        folded: norms are folded into the matrices.
    """

    reading: Reading
    depth: Mapping[str, int]
    products: Mapping[str, Product]
    folded: bool = False

    def maps(self, matrices: Mapping[str, LinearMap]) -> dict[str, LinearMap]:
        """The maps that are shown, in order of execution."""
        kept = {
            name: replace(matrices[name], depth=depth)
            for name, depth in self.depth.items()
            if name in matrices
        }
        maps = _tied(kept, self.reading.parts)
        for name, product in self.products.items():
            maps[name] = product.of(matrices, self.depth[name])
        return {name: maps[name] for name in self.depth}

    def check_repeatable(self) -> None:
        """Raise ``SVRError`` where the weights of later do not follow from the parameters alone."""
        if self.folded:
            raise SVRError(
                "norm='fold' folds the norms' statistics of one moment into the weights: record "
                "with norm='ignore', or make an SVR(model, norm='fold') of each moment"
            )
        for name in self.reading.computed:
            part = self.reading.parts[name]
            raise SVRError(
                f"map {name!r} is what {part.path!r} computes from its {part.parameter} as it "
                f"runs, which cannot be read off again without running the model; leave it out "
                f"with exclude={name!r}, or make an SVR(model) of each moment"
            )

    def read_again(self) -> dict[str, LinearMap]:
        """The maps with the weights that the model has now.

        Raises:
            UnsupportedLayerError, NonFiniteWeightsError: as when they were read first.
        """
        return self.maps(self.reading.matrices())


def _tied(maps: Mapping[str, LinearMap], parts: Mapping[str, Part]) -> dict[str, LinearMap]:
    """Maps without kernels that use one parameter share one weight, transposed where they do."""
    shared = dict(maps)
    first_use: dict[object, LinearMap] = {}
    for name, linear in maps.items():
        memory = parts[name].memory
        if memory is None or linear.kernel or linear.folded:
            continue
        first = first_use.setdefault(memory, linear)
        for weight in (first.weight, first.weight.T):
            if first is not linear and torch.equal(weight, linear.weight):
                shared[name] = replace(linear, factors=(weight,), tied_to=first.name)
    return shared
