"""What can be done to a network: copies of the model with fewer spectral neurons or channels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from torch import nn

from svr_widget.engine.analysis.dead_channels import TOLERANCE as INFLUENCE
from svr_widget.engine.compression import pruning, removal
from svr_widget.svr_findings import Findings


class Compression(Findings):
    """The changes to a model that ``SVR`` makes; made as ``SVR`` is."""

    def prune(
        self,
        ranks: pruning.Ranks | None = None,
        *,
        energy: float | None = None,
        budget: float | None = None,
        factored: bool = False,
        evaluate: pruning.Evaluate | None = None,
    ) -> tuple[nn.Module, pruning.PruningReport]:
        """A copy of the model with fewer spectral neurons in its maps (section 3.1).

        One rule chooses the neurons. Biases stay as they are, and so does the model itself: what
        comes back is a copy of it, without its wrappers (``DataParallel``, ``torch.compile``).

        Args:
            ranks: ``"internal"``, the default: of each map as many as the larger of ``d_out`` of
                the links that enter and ``d_in`` of those that leave it; maps that no link leaves
                stay whole. A number: the first so many of every map. A slice, or a list of neurons:
                these, so that ``slice(8, None)`` cuts the top eight. Or a mapping from map names or
                globs to any of them, where a name goes before a glob and an earlier glob before
                a later one; maps that it does not name stay whole.
            energy: share of the squared singular values that each map keeps, in (0, 1].
            budget: parameters for the weights of all maps together: a share of what they hold
                (``0.25``), or their number (an ``int``). A neuron counts with its entries of U and
                V, a map never with more than its weight. Chosen so that the sum over the maps of
                ``(||W - W'|| / ||W||)^2`` is small; the report bounds the least there could be.
            factored: replace each cut ``Linear``, convolution or ``Embedding`` by two smaller
                layers (an ``nn.Sequential``) where these hold fewer parameters and the code of the
                model only calls the layer, which running it on the example input shows. What is
                left one layer, with a weight of low rank, is so for the reason in the report. By
                default the architecture stays.
            evaluate: scores a model, as its accuracy on held-out data; called with copies of the
                model before and after, in the mode that the model is in, and with a negative
                control, in which every map keeps as many neurons but those at the bottom.

        Returns:
            The pruned model and a ``PruningReport``.

        Raises:
            SVRError: two rules, a value out of range, an unknown map; the SVR is of bare weights,
                has norms folded or a ``rank``; a map's weight cannot be written back (computed from
                others, quantised, shared), or has changed since.
        """
        return pruning.prune(
            self, ranks, energy=energy, budget=budget, factored=factored, evaluate=evaluate
        )

    def pruning_curve(
        self, evaluate: pruning.Evaluate, neurons: Iterable[int] | None = None
    ) -> pd.DataFrame:
        """How the model does with its first n neurons alone, and without them (section 3.1).

        All maps that a link leaves are cut to n at a time; the last maps stay whole.

        Args:
            evaluate: as in ``prune``.
            neurons: which n; by default all from 0 to the size of the largest of those maps.

        Returns:
            Columns neurons (n), kept (the score with the first n of each map) and cut (the score
            with the others).

        Raises:
            SVRError: as in ``prune``; or no link leaves any map.
        """
        return pruning.pruning_curve(self, evaluate, neurons)

    def remove_dead_channels(
        self,
        tolerance: float = removal.TOLERANCE,
        check_inputs: Any = None,
        *,
        maps: str | Iterable[str] | None = None,
        influence: float = INFLUENCE,
    ) -> tuple[nn.Module, removal.RemovalReport]:
        """A smaller model without the channels that tell the next maps nothing (section 5.2.2).

        Rows of the producer, factors and statistics of norms and other vectors on the way, input
        channels of every consumer: all that is stored for a channel goes, of a depthwise
        convolution its whole group. What the channel still emits, a constant, moves into the bias
        of the map that reads it. A channel that a sum joins with others goes where all of them are
        constant; one that cannot go stays and is reported with the reason. Since a removal may
        leave other channels without influence, the search is repeated until it finds none.

        With zero padding a bias stands for a constant only away from the borders. So the outputs of
        both models are compared in evaluation mode. Optimisers have to be made anew: the parameters
        of the smaller model are other tensors. Hooks, modes, devices and precision are kept.

        Args:
            tolerance: the largest change of an entry of the output, relative to the largest entry,
                that is allowed.
            check_inputs: the inputs on which that is measured: one batch, or an iterable of
                batches, as in ``spectral_activations``; by default the example that the links were
                read off, and eight normal ones (seeded) of its shape where it is floating-point.
            maps: only channels that are dead in these maps; by default in all.
            influence: what ``tolerance`` is in ``dead_channels``: the share of the largest
                influence on a link up to which a channel is dead.

        Returns:
            The smaller model, a copy in every case, and a report. The model is looked at as it is
            now, with plain attention and unfolded norms, whatever this SVR's options.

        Raises:
            OutputChangeError: the output would change by more; the message says by how much, which
                maps do it, and what to do. Nothing is changed then.
            SVRError: the SVR is of bare weights or of links given by hand without example inputs,
                the model cannot be copied or followed, or an argument is out of range.
        """
        return removal.remove_dead_channels(self, tolerance, check_inputs, maps, influence)
