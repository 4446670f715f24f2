"""What is read off the graph of spectral neurons: its tables and its structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from svr_widget.engine.analysis import tables
from svr_widget.engine.analysis.channels import blocks_of_channels, near_kernel_table
from svr_widget.engine.analysis.dead_channels import TOLERANCE, dead_channels
from svr_widget.engine.analysis.matching import Matching, match
from svr_widget.engine.analysis.near_kernels import GAP, SHARE
from svr_widget.engine.analysis.null_comparison import null_comparison
from svr_widget.engine.analysis.path_metric import path_metric
from svr_widget.engine.analysis.super_feature import super_feature
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.thresholds import Threshold
from svr_widget.engine.maps.keys import LinkKey
from svr_widget.engine.significance.nulls import Kind


class Findings(SpectralGraph):
    """The tables and the structure that ``SVR`` gives; made as ``SVR`` is."""

    # Tables.

    def edges(
        self,
        *,
        p: float | None = None,
        sigma: float | None = None,
        fdr: float | None = None,
        bonferroni: float | None = None,
        fdr_method: Literal["bh", "by"] = "bh",
        scope: Literal["graph", "link"] = "graph",
        null: Kind | None = None,
    ) -> pd.DataFrame:
        """The significant edges (sections 2.4 and 4.3), strongest first; ``fdr=0.05`` by default.

        Args:
            p: level of each single test; the paper uses 0.15 (section 3.1).
            sigma: the same as standard deviations of a normal law, ``p = 1 - Phi(sigma)``.
            fdr: false discovery rate.
            bonferroni: level of all tests together.
            fdr_method: ``"bh"`` (Benjamini-Hochberg) or ``"by"`` (Benjamini-Yekutieli).
            scope: whether ``fdr`` and ``bonferroni`` mean the whole graph or each link.
            null: ``"exact"`` or ``"chi2"``; by default this SVR's.

        Returns:
            Columns producer, m (its neuron), consumer, n (its neuron), weight, log10_p. Query and
            key sides of an attention head are two consumers, ``"...[QK.0].q"`` and ``".k"``. Where
            several links join the same two maps, also link: which of them, counted from 0 (the
            number that ends its key in ``links``; that of the first has none).

        Raises:
            ThresholdError: the level is out of range, or more than one is given.
        """
        threshold = Threshold(
            p=p,
            sigma=sigma,
            fdr=fdr,
            bonferroni=bonferroni,
            fdr_method=fdr_method,
            scope=scope,
            null=null,
        )
        return tables.edges(self, threshold)

    def neurons(self) -> pd.DataFrame:
        """Every spectral neuron: map, k, singular_value, intensity, null, cluster."""
        self.compute()
        return tables.neurons(self)

    # Structure.

    def super_feature(self, **threshold: Unpack[Threshold]) -> pd.DataFrame:
        """The strongest path of significant edges through consecutive links (section 5.1).

        It maximises the sum, over its edges, of the orders of magnitude by which their p-values lie
        below the threshold. It may start and end at any map; backward links take no part.

        Args:
            **threshold: as in ``edges``; ``fdr=0.05`` by default.

        Returns:
            A row for each neuron from the first to the last: map, k, singular_value, and the edge
            that leads to it, link (a key of ``links``), weight, log10_p (None and NaN in the
            first row). Empty where nothing is significant.

        Raises:
            ThresholdError: the level is out of range, or more than one is given.
        """
        return super_feature(self, threshold)

    def near_kernels(
        self, name: str | None = None, *, ratio: float = GAP, share: float = SHARE
    ) -> pd.DataFrame:
        """The blocks of neurons between gaps in the singular values (section 5.2).

        Args:
            name: of a map; all by default.
            ratio: a block ends where a singular value is more than this many times the next.
            share: a channel is mapped to the block that holds at least this share of the squares
                of its output representations, which says nothing about its own strength.

        Returns:
            A row for each block, the working one (0) first: map, block, start, stop (its neurons),
            largest, smallest (its singular values), channels (mapped to it) and ambiguous (those
            that lie in it more than in another, but without the share). Output channels that are
            in no neuron at all are in neither: see ``dead_channels``.

        Raises:
            KeyError: there is no such map.
            SVRError: ``ratio`` or ``share`` is out of range.
        """
        return near_kernel_table(self, name, ratio, share)

    def channel_blocks(
        self, name: str, *, ratio: float = GAP, share: float = SHARE
    ) -> NDArray[np.int64]:
        """The block of each output channel of a map (section 5.2.2, Fig 8).

        Arguments and errors as in ``near_kernels``.

        Returns:
            int64 ``[out]``: the number of its block, -1 where it is mapped to none.
        """
        return blocks_of_channels(self, name, ratio, share)

    def match(
        self, other: SpectralGraph, maps: Mapping[str, str] | None = None, *, level: float = 0.05
    ) -> Matching:
        """Which spectral neurons of another network, or checkpoint, are which of this one.

        Neurons are as alike as ``|<u, u'>| |<v, v'>|``. Map by map, neurons are paired so that the
        sum over the pairs is largest; only overlaps count that chance would not give anywhere. In
        clusters of singular values the spaces are compared. Units that a second training run has
        in another order are other directions: match checkpoints of one run, or its descendants.

        Args:
            other: whose neurons are taken by this SVR's method.
            maps: which map of this network belongs to which of the other; by default those of
                the same name.
            level: probability, between networks that have nothing to do with each other, that
                anything at all is paired (Bonferroni over all pairs of neurons, with exact laws).

        Returns:
            A ``Matching`` with the frames ``pairs``, ``births`` and ``deaths``.

        Raises:
            SVRError: no map of the same name, an unknown one, or two of different shapes.
        """
        return match(self, other, maps, level)

    def dead_channels(self, *, tolerance: float = TOLERANCE) -> pd.DataFrame:
        """Output channels that tell the next maps nothing, from the weights alone (section 5.2.2).

        The influence of a channel on a link is ``||T[k]|| |g_k| ||C[:, k]||``: its row in the map,
        what norms with stored statistics on the link make of it, its column in the consumer. It
        is dead where that is at most ``tolerance`` of the largest of the link, on every link, and
        on every way out of the network. What it still emits is constant to that accuracy, and so
        can be moved into biases.

        Args:
            tolerance: 1 lists every channel.

        Returns:
            A row for each dead channel: map, channel, ratio (its influence relative to the largest,
            at most ``tolerance``), the same of its three factors row, norm and read, block (its
            near-kernel, -1 for none), and why, the smallest of the three: ``"row"``, ``"norm"`` or
            ``"read"``.

        Raises:
            SVRError: ``tolerance`` is out of range, or the weights were not saved.
        """
        return dead_channels(self, tolerance)

    def null_comparison(
        self,
        link: LinkKey,
        *,
        draws: int = 10,
        initial: object = None,
        seed: int | None = None,
        **threshold: Unpack[Threshold],
    ) -> pd.DataFrame:
        """The statistics of a link beside those of weights that have learned nothing.

        The law of an edge is that of random directions. Weights whose entries have a mean share a
        direction without having learned anything, and so have a top edge; a claim about a link
        should stand out from the shuffled, the centred and the untrained weights alike.

        Args:
            link: ``(producer, consumer)``, a key of ``links``.
            draws: how often the entries of the two weights are shuffled, each within its weight.
            initial: the network before training: an ``SVR``, or what ``SVR`` takes (a state dict
                is loaded into a copy of this SVR's model if it has one).
            seed: seeds the shuffles; by default this SVR's.
            **threshold: as in ``edges``, here over the link alone; ``fdr=0.05`` by default.

        Returns:
            A row each for ``weights`` = ``"trained"``, ``"shuffled"`` (numbered by ``draw``),
            ``"centred"`` (each weight less its mean) and ``"initial"``: the strongest edge (m, n,
            weight, log10_p), significant and expected numbers of edges, and the internal dimensions
            with their p-value (d_out, d_in, deviation, p_value).

        Raises:
            KeyError: there is no such link.
            SVRError: ``initial`` lacks it or has other shapes, or all its neurons are null.
            ThresholdError: the level is out of range, or more than one is given.
        """
        return null_comparison(self, link, threshold, draws=draws, initial=initial, seed=seed)

    def path_metric(self, *, singular_values: bool = True, least: float = 0.0) -> float:
        """The sum over all paths of forward links of the product of their weights.

        A path leads from a map that no link enters to one that no link leaves, through one neuron
        of each map on it. From the authors' code; nothing is known yet of what it tells.

        Args:
            singular_values: multiply by those of the neurons on the path, both ends included.
            least: only paths through neurons whose singular value is at least this. None leads
                through null neurons, whose vectors are arbitrary.
        """
        return path_metric(self, singular_values=singular_values, least=least)
