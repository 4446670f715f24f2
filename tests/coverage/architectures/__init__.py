"""The architectures, by name."""

from importlib import import_module

from tests.coverage.architectures.architecture import Architecture

LIBRARIES = {
    "transformers": ("language", "vision", "audio", "images_and_texts"),
    "timm": ("timm_models",),
    "torchvision": ("torchvision_models",),
    "diffusers": ("diffusion",),
    "torch_geometric": ("graph_networks",),
    "segmentation_models_pytorch": ("segmentation_models",),
}


def architectures(*starts: str) -> dict[str, Architecture]:
    """Those whose names start with one of these; only their libraries are imported."""
    found = {}
    for library, modules in LIBRARIES.items():
        if any(library.startswith(s.partition("/")[0]) for s in starts or ("",)):
            for module in modules:
                listed = import_module(f"{__name__}.{module}").ARCHITECTURES
                found |= {each.name: each for each in listed if each.name.startswith(starts or "")}
    return found
