"""Skeletons of models from the configuration beside their weights, by the transformers library."""

from __future__ import annotations

import copy
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from svr_widget.engine.maps.stored import StoredTensor, in_memory
from svr_widget.engine.network.checkpoints.configuration import configuration


class Skeleton(NamedTuple):
    """What a configuration says of a model.

    Attributes:
        model: on the meta device; None where there is none to be had.
        note: why there is none, where a configuration is there.
    """

    model: nn.Module | None
    note: str = ""


def skeleton(folder: Path, weights: Mapping[str, Tensor]) -> Skeleton:
    """The model that ``config.json`` describes, made on the meta device by transformers.

    Code in the folder or behind it is never run (``auto_map``).

    Args:
        folder: of the weights.
        weights: by name, which tell the precision.
    """
    config = configuration(folder, "config.json")
    if config is None or not isinstance(config.get("model_type"), str):
        return Skeleton(None)
    told = config.get("architectures")
    names = [each for each in (told if isinstance(told, list) else []) if isinstance(each, str)]
    called = str([*names, config["model_type"]][0])
    without = "the weights are shown without links"
    try:
        import transformers
    except ImportError:
        return Skeleton(
            None,
            f"config.json describes {called}, of which transformers knows the links; it is not "
            f"installed (pip install transformers), so {without}",
        )
    kind: Any = getattr(transformers, called, None)
    native = isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)
    general: Any = transformers.AutoModel
    if config.get("auto_map") and not native:
        return Skeleton(
            None,
            f"config.json asks for code from elsewhere (auto_map) to make {called}, which is not "
            f"run: {without}; make the model yourself, and give SVR(model, "
            f"weights={str(folder)!r})",
        )
    try:
        with torch.device("meta"):
            own = transformers.AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            model = kind(own) if native else general.from_config(own)
    except Exception as error:  # whatever the library raises for what it does not know
        said = (str(error).strip() or type(error).__name__).partition("\n")[0]
        return Skeleton(
            None, f"transformers could not make {called} of config.json ({said}): {without}"
        )
    floats = Counter(
        each.dtype
        for each in weights.values()
        if each.is_floating_point() and each.ndim > 1 and each.element_size() > 1  # no codes
    )
    ((dtype, _),) = floats.most_common(1) or [(torch.float32, 0)]
    return Skeleton(model.to(dtype).eval())


def as_its_library_loads(model: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by the names of a transformers model, where its library keeps others in files.

    Where it makes one tensor of several in the file (the experts of a layer), or several of one,
    that is done when they are read. Other models and weights come back as they are.
    """
    transformers = sys.modules.get("transformers")
    if transformers is None or not isinstance(model, transformers.PreTrainedModel):
        return dict(weights)
    try:
        return _converted(model, weights)
    except Exception:  # its ways of loading are of its version: then the names have to be the same
        return dict(weights)


def _converted(model: Any, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What transformers (from version 5) would load."""
    from transformers import conversion_mapping, core_model_loading

    known, prefix = model.state_dict(), model.base_model_prefix
    every = conversion_mapping.get_model_conversion_mapping(model)
    renamings = [each for each in every if isinstance(each, core_model_loading.WeightRenaming)]
    converters = [each for each in every if isinstance(each, core_model_loading.WeightConverter)]
    by_pattern = {pattern: each for each in converters for pattern in each.source_patterns}
    found: dict[str, Tensor] = {}
    parts: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(weights, key=core_model_loading.dot_natural_key):
        own, pattern = core_model_loading.rename_source_key(
            name, renamings, converters, prefix, known
        )
        if own not in known:
            own, pattern = name, None
        if pattern is None:
            found[own] = weights[name]
        else:
            parts.setdefault(own, []).append((name, pattern))

    def convert(own: str, values: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        converter: Any = copy.deepcopy(by_pattern[parts[own][0][1]])
        for name, pattern in parts[own]:
            converter.add_tensor(own, name, pattern, partial(values, weights[name]))
        made = converter.convert(own, model=model, config=model.config)
        return {key: each[0] if isinstance(each, list) else each for key, each in made.items()}

    def reading(own: str, key: str) -> Callable[[], Tensor]:
        return lambda: convert(own, in_memory)[key]

    for own in parts:
        for key, form in convert(own, lambda tensor: tensor.to("meta")).items():
            found[key] = StoredTensor(form.contiguous(), reading(own, key))
    return found
