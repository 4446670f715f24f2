"""``SVR``: everything that a person asks of the graph of spectral neurons, in one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, overload

import networkx as nx
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor, nn

from svr_widget.engine.analysis import tables
from svr_widget.engine.analysis.activations import activations
from svr_widget.engine.analysis.activations.similarity import Reference, similarity
from svr_widget.engine.analysis.dead_channels import TOLERANCE, dead_channels
from svr_widget.engine.analysis.dead_channels import TOLERANCE as INFLUENCE
from svr_widget.engine.analysis.matching import Matching, match
from svr_widget.engine.analysis.near_kernels import (
    GAP,
    SHARE,
    blocks_of_channels,
    near_kernel_table,
)
from svr_widget.engine.analysis.null_comparison import null_comparison
from svr_widget.engine.analysis.paths import path_metric, super_feature
from svr_widget.engine.analysis.summary import summary
from svr_widget.engine.analysis.to_networkx import to_networkx
from svr_widget.engine.compression import pruning, removal
from svr_widget.engine.decompose import Flattening
from svr_widget.engine.environment.settings import methods_with_own_settings
from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.file.graph_file import Saved, from_bytes, load, save, to_bytes
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.thresholds import Threshold
from svr_widget.engine.maps.links import LinkKey
from svr_widget.engine.maps.read_only import read_only
from svr_widget.engine.significance.nulls import Kind

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@methods_with_own_settings
class SVR(SpectralGraph):
    """The Singular Value Representation of a network (paper, sections 2 and 4).

    Vertices are the spectral neurons of every linear map, edges join those of maps that feed each
    other. The source is read and checked at once; everything else is computed when it is first
    asked for and then kept. The weights are copied, so training on does not change the result, and
    the tensors and arrays that are given out cannot be written to (``x.clone()`` can). Instances
    may be shared between threads. ``pickle``, ``copy.deepcopy``, ``joblib``, ``torch.save`` and
    ``multiprocessing`` take one as ``save`` writes it with its weights: the copy has the maps,
    links, settings and what was decomposed so far, ``cache=True``, no executor and no model. So
    what runs the model is refused by the copy: activations, similarity, pruning, removal, another
    ``norm``.

    Args:
        source: an ``nn.Module``; or a list of tensors or arrays ``[out, in, *kernel]``, a chain.
            Or a mapping from names to them, as a state dict, alone or under a usual name; or the
            path of a file of them, whatever it is called: safetensors, what ``torch.save`` writes,
            an index of shards, or a folder with one of these. Nothing in a file is run. A mapping
            or a file says nothing about which map feeds which: there are no links then but those
            of ``links``. Nor does it say how a weight is kept: it is read as ``[out, in, *kernel]``
            unless the length of its bias tells that it is ``[in, out, *kernel]``. Entries with one
            dimension, of integers or of no numbers are passed over. Float8 and int8 codes are read
            with their scales, ``A`` and ``B`` of LoRA as one map ``alpha / r B A``, weight norm as
            ``g v / |v|``. A folder with a ``config.json`` of an installed transformers is a model
            (see ``weights``), made without code from elsewhere; where it needs ``example_inputs``
            to be run, it has no links without them.
        example_inputs: what the model is run on to read off its links: a tensor or array, a tuple
            of positional or a mapping of keyword arguments, images as in
            ``spectral_activations``; usually found without.
        method: ``"svr"``, ``"cosvr"`` (section 4.4), or ``"cross"``, the producers' SVR neurons
            joined to the consumers' co-SVR neurons (section 5.2.1; see ``columns``).
        norm: ``"ignore"`` norms, as the paper does, or ``"fold"`` them into the weights that they
            touch; see ``svr_widget.engine.network.norms.folding``.
        null: law of an edge's weight under chance: ``"exact"`` or the paper's ``"chi2"``.
        attention: ``"products"`` shows each head of a traced model's attention as ``W_O W_V`` (OV)
            and ``W_Q^T W_K`` (QK), which no rotation of the head's basis moves, and the matrices
            themselves where its heads compute no such products; ``"plain"`` the matrices
            everywhere. In QK the ``U`` of a neuron reads the query's position and its
            ``V`` the key's: links end in ``"...[QK.0].q"`` or ``".k"``, and none start there. Its
            singular values are without the scale of the scores.
        links: ``(producer, consumer)`` pairs or ``Link`` objects instead of the traced ones, or
            for a mapping or a file. Pairs carry all channels in order; a matrix of width ``c h^2``
            after a convolution with ``c`` output channels reads it flattened, channels first.
            ``"chain"`` says that each map of a mapping or a file feeds the next: in their order,
            or where a file keeps none in that of their names, numbers in them by size.
        include: globs over map names; only those are maps. A map that a module's own code makes of
            a parameter is called as that is, ``"block.proj"``; by its module where it is all of a
            ``weight``; with its place where it is one of several matrices,
            ``"experts.gate_up_proj[3]"``; and with ``"[T]"`` behind where it is used the other way
            round as well.
        exclude: globs over names that are left out; inside of such a module nothing is followed.
        rank: keep the first ``rank`` neurons of every map.
        weights: fill the model with these, which is then a skeleton whose own values do not matter
            and which may be made under ``torch.device("meta")``: the path of a file or folder, of
            which each map is read when it is needed and let go again, or a mapping, of which the
            maps are copied. Names are matched without what wrappers add (``module.``,
            ``_orig_mod.``, ``_fsdp_wrapped_module.``, ``base_model.model.``, a common prefix on
            either side); ``notes`` say what is missing and what is left over. Maps whose weights
            are missing are left out.
        run_live: where data is run through a model, here and later, it is through a private
            structure over its weights, so that a training of the model goes on undisturbed. Some
            models can only be run as they are (FSDP, TorchScript, a ``forward`` or a hook that is
            bound to their own modules); that is refused, unless this vouches that nothing trains
            them meanwhile. They are put back as they were.
        non_finite: a map with NaN or infinite entries is a reason to ``"refuse"`` the network, or
            to ``"leave out"`` the map with its links, as ``SVRWidget`` does; see ``damaged``.
        executor: what decomposes the maps when many are needed (``compute``, tables, ``save``; one
            map alone, as ``svr["0"]``, is decomposed here): any ``concurrent.futures.Executor``.
            Threads and processes are of that module; dask (``pip install svr-widget[dask]``,
            ``dask.distributed.Client(...).get_executor()``), ipyparallel and mpi4py have executors
            for several machines. Workers are sent weights, or the path of a safetensors file where
            they see it as well, and send back decompositions, or put them into the ``cache`` folder
            where they see that. A worker decomposes a map in one thread of its own, so that results
            depend neither on how many workers there are nor on their cores: they are to the bit
            those of a process that was started with ``OMP_NUM_THREADS=1``; with more threads
            LAPACK's differ in the last bits. Threads of this process keep the number of threads
            that is set here for a map, and take turns where the cores have no room for two maps:
            start Python with ``OMP_NUM_THREADS=1`` to have as many at a time as workers. No setting
            outlasts a map. What lost workers had is decomposed here, with a note.
        device: where maps are decomposed and adjacencies counted: any device of PyTorch's that has
            float64, the CPU by default. Only what is kept comes back. Maps of small singular
            values, and what does not fit into its memory, are decomposed on the CPU.
        cache: where decompositions are kept: True in this process; False none longer than something
            uses it; or a folder, by its path or as a ``svr_widget.cache.Folder``, from one run to
            the next. From a folder they are mapped into memory, so that a graph may be larger than
            that, a run that was killed goes on where it was, and the same weights are never
            decomposed twice, by however many processes. See ``svr_widget.cache``.
        progress: called as ``progress(name, done, total)`` while much is computed.
        seed: seeds the probes of certificates and the simulations.

    Attributes:
        title: what the network is called.
        notes: what is worth saying, such as the example input that tracing tried, and what was done
            to inputs since, such as bytes scaled to [0, 1].
        unlinked: that nobody says which map feeds which, and what does; empty for most. All
            intensities are NaN then, there are no edges, and what rests on links is refused.
        method, norm, null, attention, rank, seed: as given.
        model: the model inside its wrappers, to run data through; None for bare weights. With
            ``weights``, one of the same modules that holds them.
        damaged: the maps that were left out because of NaN or infinite entries, by name, with what
            there is to say of each.
        example: what the model was called with to read off its links; None where it was not.
        own_example: the same in tensors of its own, which is what it is called with later.

    Raises:
        SVRError: the source or an option cannot be used; the message names the culprit.
        TypeError: the source is of another kind, or a keyword is unknown.

    Examples:
        A network in which one channel is passed on throughout, and another one is dead:

        >>> import torch
        >>> from torch import nn
        >>> from svr_widget import SVR
        >>> _ = torch.manual_seed(0)
        >>> layers = nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 4)
        >>> model = nn.Sequential(*layers)
        >>> with torch.no_grad():
        ...     model[0].weight[3] *= 9  # the first map is loud in its channel 3,
        ...     model[2].weight[1, 3] = 9  # which the second reads into its channel 1,
        ...     model[4].weight[:, 1] *= 9  # which the third reads
        ...     model[0].weight[5] = 0
        >>> svr = SVR(model)
        >>> svr
        SVR(Sequential: 3 maps, 32 neurons, 2 links, svr)
        >>> list(svr.maps), list(svr.links)
        (['0', '2', '4'], [('0', '2'), ('2', '4')])

        A file has weights and no links, a model without values has links and no weights. Together
        they are the network, without ever being in memory as a whole:

        >>> from safetensors.torch import save_file
        >>> save_file(model.state_dict(), "model.safetensors")
        >>> with torch.device("meta"):
        ...     skeleton = nn.Sequential(*(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 12),
        ...                                nn.ReLU(), nn.Linear(12, 4)))
        >>> SVR(skeleton, weights="model.safetensors").edges().equals(svr.edges())
        True

        The examples of the methods go on with this ``svr`` and its ``model``.
    """

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
        by_construction: bool = False,
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
            by_construction: instead the edges of the links that join a tensor to itself, as tied
                embeddings do (``Link.by_construction``): those that reach the level among
                themselves. They are no findings, and so in no other table, count or test.

        Returns:
            Columns producer, m (its neuron), consumer, n (its neuron), weight, log10_p. Query and
            key sides of an attention head are two consumers, ``"...[QK.0].q"`` and ``".k"``. Where
            several links join the same two maps, also link: which of them, counted from 0 (the
            number that ends its key in ``links``; that of the first has none).

        Raises:
            ThresholdError: the level is out of range, or more than one is given.

        Examples:
            >>> svr.edges().round(2)
              producer  m consumer  n  weight  log10_p
            0        0  0        2  0    0.99   -14.90
            1        2  0        4  0    0.97    -9.43
            >>> len(svr.edges(p=0.15))  # each test by itself: many of these are chance
            36
            >>> weight = model[0].weight.detach()
            >>> tied = SVR([weight, weight.T])
            >>> len(tied.edges()), len(tied.edges(by_construction=True))
            (0, 15)
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
        return tables.edges(self, threshold, by_construction=by_construction)

    def neurons(self) -> pd.DataFrame:
        """Every spectral neuron.

        Returns:
            map, k, singular_value; intensity (paper, 3.2; see ``intensity``); p_value, how likely a
            random neuron is at least as intense, and p_adjusted, the smallest false discovery rate
            over the graph at which it stands out (see ``intensity_p_values``); null, cluster.

        Examples:
            >>> svr.neurons().iloc[:2, :6].round(2)
              map  k  singular_value  intensity  p_value  p_adjusted
            0   0  0            5.27       1.00      0.0         0.0
            1   0  1            0.89       0.07      0.7         1.0
        """
        self.compute()
        return tables.neurons(self)

    def summary(self, **threshold: Unpack[Threshold]) -> pd.DataFrame:
        """The network at a glance: a row for every map, then a row for every link.

        Args:
            **threshold: as ``edges`` takes it, for the number of significant edges.

        Returns:
            Of a map: kind ("map"), name, layer, out and in (channels), kernel, neurons, rank (how
            many of them are not null), stable_rank (energy over the square of the largest singular
            value), energy (the sum of squares of all singular values), largest, dead_channels
            (see ``dead_channels``; missing where the weights were not saved). Of a link: kind
            ("link"), producer, consumer, link (its number among parallel ones),
            by_construction (a link that is outside the tests, see ``Link``), the internal
            dimensions d_out and d_in with their p_value (section 3.2), and its largest entry
            between neurons that are not null: weight, n and m (the consumer's and the producer's
            neuron), log10_p, and significant, its edges at the threshold. What does not concern a
            row is missing in it.

        Examples:
            >>> table = svr.summary()
            >>> table[["name", "rank", "stable_rank", "dead_channels"]].round(1).head(3)
              name  rank  stable_rank  dead_channels
            0    0    15          1.1              1
            1    2    12          1.0              0
            2    4     4          1.1              0
            >>> table[["producer", "consumer", "d_out", "d_in", "weight"]].round(2).tail(2)
              producer consumer  d_out  d_in  weight
            3        0        2      2     2    0.99
            4        2        4      1     1    0.97
        """
        self.compute()
        return summary(self, threshold)

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

        Examples:
            >>> svr.super_feature()[["map", "k", "link", "weight"]].round(2)
              map  k    link  weight
            0   0  0    None     NaN
            1   2  0  (0, 2)    0.99
            2   4  0  (2, 4)    0.97
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

        Examples:
            >>> svr.near_kernels("0")[["block", "start", "stop", "channels"]]  # 1 is the dead one
               block  start  stop  channels
            0      0      0    15        15
            1      1     15    16         1
        """
        return near_kernel_table(self, name, ratio, share)

    def channel_blocks(
        self, name: str, *, ratio: float = GAP, share: float = SHARE
    ) -> NDArray[np.int64]:
        """The block of each output channel of a map (section 5.2.2, Fig 8).

        Arguments and errors as in ``near_kernels``.

        Returns:
            int64 ``[out]``: the number of its block, -1 where it is mapped to none.

        Examples:
            >>> svr.channel_blocks("0").tolist()
            [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        """
        return blocks_of_channels(self, name, ratio, share)

    def match(
        self,
        other: SpectralGraph,
        maps: Mapping[str, str] | None = None,
        *,
        level: float = 0.05,
        least: float = 0.0,
    ) -> Matching:
        """Which spectral neurons of another network, or checkpoint, are which of this one.

        Neurons are as alike as ``|<u, u'>| |<v, v'>|``. Map by map, neurons are paired so that the
        sum over the pairs is largest; only overlaps count that chance would not give anywhere. In
        clusters of singular values the spaces are compared. Units that a second training run has
        in another order are other directions: match checkpoints of one run, or its descendants.

        Args:
            other: whose neurons are taken by this SVR's method.
            maps: which map of this network belongs to which of the other; by default those of
                the same name, without what wrappers add (``DataParallel``, ``torch.compile``, FSDP,
                peft) or one of the two as a whole.
            level: probability, between networks that have nothing to do with each other, that
                anything at all is paired (Bonferroni over all pairs of neurons, with exact laws).
            least: overlap that a pair has at least. Chance explains no more than a small one where
                a map is wide, so an overlap may be significant and next to nothing.

        Returns:
            A ``Matching`` with the frames ``pairs``, ``births`` and ``deaths``.

        Raises:
            SVRError: no map of the same name, an unknown one, or two of different shapes.

        Examples:
            >>> later = {name: weight + 0.01 for name, weight in model.state_dict().items()}
            >>> matching = svr.match(SVR(later))
            >>> matching  # the dead channel has come to life
            Matching(31 pairs, 1 births, 0 deaths)
            >>> matching.pairs[["map", "k", "other_k", "overlap"]].round(2).head(2)
              map  k  other_k  overlap
            0   0  0        0      1.0
            1   0  1        1      1.0
        """
        return match(self, other, maps, level, least)

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

        Examples:
            >>> svr.dead_channels()[["map", "channel", "ratio", "why"]]
              map  channel  ratio  why
            0   0        5    0.0  row
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

        Examples:
            >>> compared = svr.null_comparison(("0", "2"), draws=1)
            >>> compared[["weights", "weight", "significant"]].round(2)
                weights  weight  significant
            0   trained    0.99            1
            1  shuffled    0.43            0
            2   centred    0.99            1
        """
        return null_comparison(self, link, threshold, draws=draws, initial=initial, seed=seed)

    def path_metric(self, *, singular_values: bool = True, least: float = 0.0) -> float:
        """The sum over all paths of forward links of the product of their weights.

        Links by construction are left out.

        A path leads from a map that no link enters to one that no link leaves, through one neuron
        of each map on it. From the authors' code; nothing is known yet of what it tells.

        Args:
            singular_values: multiply by those of the neurons on the path, both ends included.
            least: only paths through neurons whose singular value is at least this. None leads
                through null neurons, whose vectors are arbitrary.

        Examples:
            >>> round(svr.path_metric())
            179
        """
        return path_metric(self, singular_values=singular_values, least=least)

    # Data run through the model.

    @overload  # a tuple is one batch, though it is iterable too
    def spectral_activations(  # type: ignore[overload-overlap]
        self,
        inputs: Tensor | NDArray[Any] | tuple[Any, ...] | Mapping[str, Any],
        maps: activations.Maps | None = None,
        neurons: activations.Neurons | None = None,
        method: Flattening | None = None,
    ) -> dict[str, Tensor]: ...

    @overload
    def spectral_activations(
        self,
        inputs: Iterable[Any],
        maps: activations.Maps | None = None,
        neurons: activations.Neurons | None = None,
        method: Flattening | None = None,
    ) -> Iterator[dict[str, Tensor]]: ...

    def spectral_activations(
        self,
        inputs: Any,
        maps: activations.Maps | None = None,
        neurons: activations.Neurons | None = None,
        method: Flattening | None = None,
    ) -> dict[str, Tensor] | Iterator[dict[str, Tensor]]:
        """What each map reads, filtered by its ``V``: ``Y = V^T psi(X)`` (sections 2.2 and 4.1).

        For a convolution the images of section 5.1, filtered with its own stride, padding,
        dilation and groups; the map's output without its bias is ``U diag(S) Y``. By the co-SVR
        ``V`` combines the channels of the input before the kernel, and ``U`` are the filters that
        turn ``diag(S) Y`` into the output (section 4.4). A linear layer that reads flattened
        channels x positions gives one number a neuron, by the co-SVR an image; one whose output is
        unflattened gives an image, by the co-SVR a number. An embedding reads one-hot vectors.
        The product of a head reads what its value map (OV) or its key map (QK) reads.

        What is run is the model as it is now, in evaluation mode and without gradients, all maps
        in one forward pass a batch; not the model itself but a private structure over its weights
        (see ``run_live``). ``V`` is from when this SVR was made.

        Args:
            inputs: what the model is called with: a tensor or array, a tuple of positional or a
                mapping of keyword arguments; it is brought to the model's device and precision. A
                ``DataLoader`` or any other iterable (a list, too) gives batches: tensors,
                mappings, or tuples and lists, of which the model gets as many leading entries as
                ``forward`` has parameters without a default, at least one; what follows are
                labels. Images are taken as people have them, where the number of channels that the
                first map reads tells which axis they are: PIL images (in the model's colours),
                arrays with channels first or last, a single one without a batch axis, a list of
                single ones (one batch then). uint8 is divided by 255, which ``notes`` says;
                whatever else the model was trained with, such as a mean that is subtracted, is
                yours to do.
            maps: names, or one name; by default all.
            neurons: which neurons of every map, or of each by its name: an index, several, or a
                slice; -1 is the last, ``slice(100)`` the first 100 as far as there are. By
                default all. A mapping also chooses the maps where ``maps`` does not.
            method: ``"svr"`` or ``"cosvr"``; by default this SVR's.

        Returns:
            For each map, in order of execution, ``[batch, neurons, *positions]``, neurons in the
            order asked for, on the model's device, float64 where the model computes in it, else
            float32. The batch is the first dimension of what the map reads, positions are all
            between that and the channels (``[batch, token, channel]`` gives ``[batch, neuron,
            token]``), or those of a layout.
            The second call of a map in one forward pass is named ``"name (call 2)"``, and so on.
            For an iterable of batches an iterator of such dictionaries, which holds one at a time.

            Sequences of attention and recurrent layers count with their batch first. A gate reads
            at each step the input or the state that the step starts from.

            Maps of which what they read is not known are left out with a warning that says why:
            the input does not reach them, other code uses their weight, a recurrent layer reads a
            ``PackedSequence``, or it is the projection inside an LSTM.

        Raises:
            SVRError: the SVR is of bare weights; there is no such map or neuron; what a map that
                was asked for by name reads is not known; or images do not fit the model, with a
                line that makes them fit.
            TypeError: the inputs are of another kind.

        Examples:
            >>> activations = svr.spectral_activations(torch.randn(5, 20))
            >>> {name: tuple(of_map.shape) for name, of_map in activations.items()}
            {'0': (5, 16), '2': (5, 12), '4': (5, 4)}
            >>> svr.spectral_activations(torch.randn(5, 20), maps="2", neurons=[0, -1])["2"].shape
            torch.Size([5, 2])
        """
        return activations.spectral_activations(self, inputs, maps, neurons, method)

    def similarity(
        self,
        inputs: Any,
        reference: Reference = "sobel",
        maps: activations.Maps | None = None,
        neurons: activations.Neurons | None = None,
        method: Flattening | None = None,
    ) -> pd.DataFrame:
        """Spectral images beside a reference image of the input (sections 5.1, B.4, Figs 6, 14).

        The cosine of the angle between the magnitudes of each spectral image and the reference, 0
        where one of the two is zero everywhere; mean and standard deviation over the inputs. All
        maps are compared in one forward pass a batch, whatever the size of the data set.

        Args:
            inputs: as in ``spectral_activations``.
            reference: ``"sobel"``: the magnitude of the Sobel filter on the model's first input as
                the model gets it, average-pooled to the size of the spectral image and made grey
                by 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601); border pixels are repeated.
                Or a function of the model's input (a tensor; a tuple or mapping where it takes
                more) and a size ``(h, w)`` that returns ``[batch, h, w]``.
            maps: as in ``spectral_activations``.
            neurons: likewise.
            method: likewise.

        Returns:
            Columns map, neuron, mean, sd (of a sample, NaN where n is 1) and n. Maps without
            two-dimensional images of at least 2 x 2 pixels for each input are left out;
            ``attrs["left_out"]`` names them with the reason.

        Raises:
            SVRError: as in ``spectral_activations``; the inputs are no images or the reference
                has another size; no map, or not one that was asked for by name, has such images.
            TypeError: the inputs are of another kind.

        Examples:
            >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
            >>> images = torch.rand(8, 1, 12, 12)
            >>> SVR(network, images[:1]).similarity(images, neurons=slice(2)).round(2)
              map  neuron  mean    sd  n
            0   0       0  0.74  0.02  8
            1   0       1  0.74  0.03  8
            2   2       0  0.73  0.05  8
            3   2       1  0.74  0.03  8
        """
        return similarity(self, inputs, reference, maps, neurons, method)

    # Smaller models.

    def prune(
        self,
        ranks: pruning.Ranks | None = None,
        *,
        cut: pruning.Ranks | None = None,
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
            cut: what goes instead of what stays: a slice or a list of neurons of every map,
                ``slice(8)`` for the top eight and ``slice(-8, None)`` for the last, or a mapping
                as in ``ranks``.
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
            evaluate: scores a model, as its accuracy on held-out data, by a number or several: a
                mapping, or a row of numbers, one a class. Called with copies of the model before
                and after, in the mode that the model is in, and with a negative control, in which
                every map keeps as many neurons but those at the bottom. Where that is the pruned
                model again, there is no control, and the report says so.

        Returns:
            The pruned model and a ``PruningReport``.

        Raises:
            SVRError: two rules, a value out of range, an unknown map; the SVR is of bare weights,
                has norms folded or a ``rank``; a map's weight cannot be written back (computed from
                others, quantised, shared), or has changed since.

        Examples:
            >>> smaller, report = svr.prune(energy=0.9, factored=True)
            >>> report.maps[["map", "form", "neurons", "kept"]]
              map      form  neurons  kept
            0   0  factored       16     3
            1   2  factored       12     1
            2   4  factored        4     1
            >>> smaller[0]
            Sequential(
              (0): Linear(in_features=20, out_features=3, bias=False)
              (1): Linear(in_features=3, out_features=16, bias=True)
            )
        """
        return pruning.prune(
            self,
            ranks,
            cut_out=cut,
            energy=energy,
            budget=budget,
            factored=factored,
            evaluate=evaluate,
        )

    def pruning_curve(
        self,
        evaluate: pruning.Evaluate,
        neurons: Iterable[int] | None = None,
        *,
        maps: str | Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """How the model does with its first n neurons alone, and without them (section 3.1).

        The maps are cut to n at a time, all together.

        Args:
            evaluate: as in ``prune``.
            neurons: which n; by default all from 0 to the size of the largest of those maps.
            maps: names or globs of the maps that are cut; by default all that a link leaves, so
                that the last maps stay whole.

        Returns:
            Columns neurons (n), kept (the score with the first n of each map) and cut (the score
            with the others). Where ``evaluate`` gives several scores, ``curve["kept"]`` and
            ``curve["cut"]`` are tables with a column for each.

        Raises:
            SVRError: as in ``prune``; there is no such map, or none is named and no link leaves
                any.

        Examples:
            >>> inputs = torch.randn(100, 20)
            >>> def error(smaller):
            ...     change = smaller(inputs) - model(inputs)
            ...     return (change.square().sum() / model(inputs).square().sum()).item()
            >>> svr.pruning_curve(error, [0, 1, 4]).round(2)
               neurons  kept  cut
            0        0   1.0  0.0
            1        1   0.0  1.0
            2        4   0.0  1.0
        """
        return pruning.pruning_curve(self, evaluate, neurons, maps)

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
        both models are compared in evaluation mode. Where they change by more than the tolerance,
        as many channels go as it allows: those that change least, tried by running the model on all
        these inputs for choices of several, and before that for each channel that could go, on two
        of them where there are many. The others stay, and the report has the share of each. As it
        may take minutes, ``progress`` is told. Optimisers have to be made anew: the parameters of
        the smaller model are other tensors. Hooks, modes, devices and precision are kept.

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
            OutputChangeError: the output is nowhere finite, so that its change is not known.
            SVRError: the SVR is of bare weights or of links given by hand without example inputs,
                the model cannot be copied or followed, or an argument is out of range.

        Examples:
            >>> smaller, report = svr.remove_dead_channels()
            >>> smaller[0]
            Linear(in_features=20, out_features=15, bias=True)
            >>> report.removed[["map", "channel", "why"]]
              map  channel  why
            0   0        5  row
            >>> report.relative_change < 1e-6
            True
        """
        return removal.remove_dead_channels(self, tolerance, check_inputs, maps, influence)

    # Files and exports.

    def to_networkx(self, **threshold: Unpack[Threshold]) -> nx.DiGraph[tuple[str, int]]:
        """All neurons and the significant edges as a networkx graph.

        Args:
            **threshold: as in ``edges``; ``fdr=0.05`` by default.

        Returns:
            A ``DiGraph``, or a ``MultiDiGraph`` where several links join the same two maps. Nodes
            are ``(map, k)`` with map, k, singular_value, intensity, kind, depth, null; edges have
            weight, log10_p, link (``"conv1 -> conv2"``). All values are plain ones, which every
            writer of networkx takes.

        Raises:
            ThresholdError: the level is out of range, or more than one is given.

        Examples:
            >>> graph = svr.to_networkx()
            >>> print(graph)
            DiGraph with 32 nodes and 2 edges
            >>> list(graph.edges)
            [(('0', 0), ('2', 0)), (('2', 0), ('4', 0))]
            >>> round(graph.nodes["2", 0]["singular_value"], 2)
            9.04
        """
        return to_networkx(self, threshold)

    def plot(
        self,
        what: Literal[
            "graph",
            "adjacency",
            "cross",
            "output",
            "survival",
            "dimensions",
            "links",
            "images",
            "similarity",
        ] = "graph",
        of: LinkKey | str | None = None,
        **options: Any,
    ) -> Figure:
        """A picture for print, drawn with matplotlib outside pyplot.

        ``plot()`` is the graph (Figures 2 and 5a), ``plot("adjacency", link)`` the matrix of a link
        with its internal dimensions (Fig 3), ``plot("cross", link)`` the matrix ``|V~^T U|`` of a
        link (Fig 7), ``plot("output", map)`` the ``|U|`` of a map (Fig 8), both with rules between
        their near-kernels, and ``plot("survival", link)`` the survival function of a link's entries
        beside the exact law and the paper's (Fig 10). ``plot("dimensions")`` shows the internal
        dimensions of all links (section 3.2), pale where their p is 0.05 or more,
        ``plot("links")`` who speaks to whom, a row a consumer and a column a producer, as dark as
        what was found on the link beyond chance,
        ``plot("images", map, inputs=...)`` what neurons make of inputs (Fig 5b), and
        ``plot("similarity", map, found=svr.similarity(...))`` how like the reference that is, with
        two standard errors of the mean to either side (Figs 6 and 14).

        Args:
            what: the picture.
            of: the link, a key of ``links``, or the map that it shows.
            **options: for every picture ``ax`` (a matplotlib ``Axes`` to draw into), ``theme``
                (``"light"``, ``"dark"`` or a ``svr_widget.plot.Theme``), ``size`` of a new figure
                in inches, ``title``. For the graph, the links and the survival function the
                threshold, as in ``edges``; for the graph ``y_scale`` (``"linear"``, ``"log"``,
                ``"relative"``, ``"rank"``, or ``"auto"`` for the one on which no kind of map is
                squashed), ``colour`` (``"paper"``, its intensity, or ``"chance"``: how sure it is
                that chance does not give a neuron its edges) and ``max_edges``, the most to draw
                (20,000; where there are more, the picture says so); for the graph and the links
                ``folded``, names of modules that are one column or row each, as of the widget (by
                default as many as leave some 24, ``[]`` for none); for ``"adjacency"``,
                ``"output"``, ``"dimensions"`` and ``"images"`` ``method``; for ``"cross"`` and
                ``"output"`` ``ratio``, as in ``near_kernels``; for ``"output"`` ``sort``, to order
                the channels by block; for ``"images"`` ``inputs``, what the model is called with,
                and ``neurons``, indices of which -1 is the last (the first two and the last); for
                ``"similarity"`` ``found``.

        Returns:
            The figure, which notebooks show; ``savefig`` writes it, to a PDF for instance.

        Raises:
            KeyError: there is no such link or map.
            SVRError: an unknown picture, theme or scale, or the threshold is out of range.
            TypeError: an unknown option.

        Examples:
            >>> svr.plot().savefig("graph.pdf")
            >>> figure = svr.plot("adjacency", ("0", "2"), theme="dark")
        """
        from svr_widget.plot import draw

        return draw(self, what, of, options)

    def save(self, path: str | PathLike[str], *, weights: bool = False) -> None:
        """Write maps, links, decompositions and settings to one safetensors file.

        What is not decomposed yet is now. A file that is there already, at the end of a link too,
        is replaced when the new one is complete and on the disk, and its permissions are kept.

        Args:
            path: of the file, ``"vgg16.safetensors"`` for instance.
            weights: write the weights as well, for what needs them: other methods, null
                comparisons.

        Raises:
            OSError: the file cannot be written; what stood there stays.

        Examples:
            >>> svr.save("network.safetensors")
            >>> SVR.load("network.safetensors").edges().equals(svr.edges())
            True
        """
        save(self, path, weights=weights)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """What ``save`` wrote: the same neurons, edges and tests to the last bit.

        ``model`` is None, so what runs the model is refused; so is what needs the weights, unless
        they were saved.

        Raises:
            FileNotFoundError: there is no such file.
            SVRError: it is damaged, of a newer version, or not written by ``save``.
        """
        return cls._of_saved(load(path))

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), to_bytes(self))

    @classmethod
    def _of_saved(cls, saved: Saved) -> Self:
        svr = cls(saved.network, **saved.settings)
        for key, each in saved.decompositions.items():
            svr._decompositions[key] = read_only(each)
        return svr


def _unpickled(cls: type[SVR], content: bytes) -> SVR:
    """What ``SVR.__reduce__`` describes; pickles name this function, so it stays where it is."""
    if not (isinstance(cls, type) and issubclass(cls, SVR)):
        raise SVRError(f"the pickle is damaged: it is of {cls!r}, which is no SVR")
    return cls._of_saved(from_bytes(content))
