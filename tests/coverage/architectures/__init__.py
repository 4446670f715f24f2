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


def modules(library: str) -> list[str]:
    """Where the architectures of a library are listed."""
    return [f"{__name__}.{name}" for name in LIBRARIES[library]]


def architectures(*starts: str) -> dict[str, Architecture]:
    """Those whose names start with one of these; only their libraries are imported."""
    found = {}
    for library in LIBRARIES:
        if any(library.startswith(start.partition("/")[0]) for start in starts or ("",)):
            for module in modules(library):
                listed = import_module(module).ARCHITECTURES
                found |= {each.name: each for each in listed if each.name.startswith(starts or "")}
    return found
