"""``SVR``: everything that a person asks of the graph of spectral neurons, in one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, overload

import networkx as nx
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from svr_widget.engine.activations import activations
from svr_widget.engine.activations.similarity import Reference, similarity
from svr_widget.engine.analysis.to_networkx import to_networkx
from svr_widget.engine.decompose import Flattening
from svr_widget.engine.graph.graph_file import load, save
from svr_widget.engine.graph.thresholds import Threshold
from svr_widget.engine.maps.keys import LinkKey
from svr_widget.svr_compression import Compression

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SVR(Compression):
    """The Singular Value Representation of a network (paper, sections 2 and 4).

    Vertices are the spectral neurons of every linear map, edges join those of maps that feed each
    other. The source is read and checked at once; everything else is computed when it is first
    asked for and then kept. The weights are copied, so training on does not change the result.
    Instances may be shared between threads.

    Args:
        source: an ``nn.Module``; or a list of tensors or arrays ``[out, in, *kernel]``, a chain;
            or a mapping from names to them, as a state dict, a chain in its order. One-dimensional
            entries of lists and mappings are ignored. In a chain a matrix of width ``c h^2`` after
            a convolution with ``c`` output channels reads it flattened, channels first. Or the path
            of a file of weights: ``.safetensors``, the index of its shards, a folder with either,
            or a state dict as ``torch.save`` writes it (``.pt``, ``.pth``, ``.bin``, ``.ckpt``),
            read without running what is in it.
        example_inputs: what the model is run on to read off its links: a tensor, a tuple of
            positional or a mapping of keyword arguments; usually found without.
        method: ``"svr"``, ``"cosvr"`` (section 4.4), or ``"cross"``, the producers' SVR neurons
            joined to the consumers' co-SVR neurons (section 5.2.1; see ``columns``).
        norm: ``"ignore"`` norms, as the paper does, or ``"fold"`` them into the weights that they
            touch; see ``svr_widget.engine.network.norms.folding``.
        null: law of an edge's weight under chance: ``"exact"`` or the paper's ``"chi2"``.
        attention: ``"products"`` shows each head of a traced model's attention as ``W_O W_V`` (OV)
            and ``W_Q^T W_K`` (QK), which no rotation of the head's basis moves; ``"plain"`` the
            matrices themselves. In QK the ``U`` of a neuron reads the query's position and its
            ``V`` the key's: links end in ``"...[QK.0].q"`` or ``".k"``, and none start there. Its
            singular values are without the scale of the scores.
        links: ``(producer, consumer)`` pairs or ``Link`` objects instead of the traced ones.
        include: globs over map names; only those are maps.
        exclude: globs over names that are left out.
        rank: keep the first ``rank`` neurons of every map.
        progress: called as ``progress(name, done, total)`` while much is computed.
        seed: seeds the probes of certificates and the simulations.

    Attributes:
        title: what the network is called.
        notes: what tracing found worth saying, such as the example input that it tried.
        method, norm, null, attention, rank, seed: as given.
        model: the model inside its wrappers, to run data through; None for bare weights.
        example: what the model was called with to read off its links; None where it was not.

    Raises:
        SVRError: the source or an option cannot be used; the message names the culprit.
        TypeError: the source is of another kind, or a keyword is unknown.
    """

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

        The model is run as it is now, in evaluation mode and without gradients, all maps in one
        forward pass a batch, and comes back untouched. ``V`` is from when this SVR was made.

        Args:
            inputs: what the model is called with: a tensor or array, a tuple of positional or a
                mapping of keyword arguments; it is brought to the model's device and precision. A
                ``DataLoader`` or any other iterable (a list, too) gives batches: tensors,
                mappings, or tuples and lists, of which the model gets as many leading entries as
                ``forward`` has parameters without a default, at least one; what follows are
                labels.
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
            SVRError: the SVR is of bare weights; there is no such map or neuron; or what a map that
                was asked for by name reads is not known.
            TypeError: the inputs are of another kind.
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
        """
        return similarity(self, inputs, reference, maps, neurons, method)

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
        ``plot("images", map, inputs=...)`` what neurons make of inputs (Fig 5b), and
        ``plot("similarity", map, found=svr.similarity(...))`` how like the reference that is, with
        two standard errors of the mean to either side (Figs 6 and 14).

        Args:
            what: the picture.
            of: the link, a key of ``links``, or the map that it shows.
            **options: for every picture ``ax`` (a matplotlib ``Axes`` to draw into), ``theme``
                (``"light"``, ``"dark"`` or a ``svr_widget.plot.Theme``), ``size`` of a new figure
                in inches, ``title``. For the graph and the survival function the threshold, as in
                ``edges``; for the graph ``y_scale`` (``"linear"``, ``"log"``, ``"relative"``,
                ``"rank"``) and ``max_edges``, the most to draw (20,000; where there are more, the
                picture says so); for ``"adjacency"``, ``"output"``, ``"dimensions"`` and
                ``"images"`` ``method``; for ``"cross"`` and ``"output"`` ``ratio``, as in
                ``near_kernels``; for ``"output"`` ``sort``, to order the channels by block; for
                ``"images"`` ``inputs``, what the model is called with, and ``neurons``, indices of
                which -1 is the last (the first two and the last); for ``"similarity"`` ``found``.

        Returns:
            The figure, which notebooks show; ``savefig`` writes it, to a PDF for instance.

        Raises:
            KeyError: there is no such link or map.
            SVRError: an unknown picture, theme or scale, or the threshold is out of range.
            TypeError: an unknown option.
        """
        from svr_widget.plot import draw

        return draw(self, what, of, options)

    def save(self, path: str | PathLike[str], *, weights: bool = False) -> None:
        """Write maps, links, decompositions and settings to one safetensors file.

        What is not decomposed yet is now. A file that is there already is replaced when the new one
        is complete.

        Args:
            path: of the file, ``"vgg16.safetensors"`` for instance.
            weights: write the weights as well, for what needs them: other methods, null
                comparisons.
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
        saved = load(path)
        svr = cls(saved.network, **saved.settings)
        svr._decompositions |= saved.decompositions
        return svr
