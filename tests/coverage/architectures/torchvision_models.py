"""torchvision: classification, detection, segmentation, video, optical flow."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor
from torchvision.models import get_model

from tests.coverage.architectures.architecture import Architecture, image, noise

CLASSIFIERS = """
    alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3
    maxvit_t mnasnet0_5 mobilenet_v2 mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18
    resnet50 resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_0 swin_t swin_v2_t vgg11 vgg16_bn
    vit_b_32 wide_resnet50_2
"""
SEGMENTERS = "deeplabv3_resnet50 fcn_resnet50 lraspp_mobilenet_v3_large"
DETECTORS = """
    fasterrcnn_mobilenet_v3_large_320_fpn fcos_resnet50_fpn maskrcnn_resnet50_fpn
    retinanet_resnet50_fpn ssdlite320_mobilenet_v3_large
"""
VIDEO = "r3d_18 mc3_18 r2plus1d_18 s3d swin3d_t mvit_v2_s"
UNTRAINED = {"weights": None}
WITHOUT_BACKBONE = {**UNTRAINED, "weights_backbone": None}


def _frames() -> Tensor:
    return noise(1, 3, 16, 224, 224)


def _two_images() -> tuple[Tensor, Tensor]:
    return noise(1, 3, 128, 128), noise(1, 3, 128, 128)


def _listed_images() -> tuple[Any, ...]:
    return ([image(128)[0]],)


def _each(names: str, example: Any, alone: bool, **options: Any) -> list[Architecture]:
    return [
        Architecture(f"torchvision/{name}", partial(get_model, name, **options), example, alone)
        for name in names.split()
    ]


ARCHITECTURES = (
    *_each(CLASSIFIERS, partial(image, 224), True, **UNTRAINED),
    *_each(SEGMENTERS, partial(image, 64), True, **WITHOUT_BACKBONE),
    *_each(DETECTORS, _listed_images, False, **WITHOUT_BACKBONE),
    *_each(VIDEO, _frames, False, **UNTRAINED),
    *_each("raft_small", _two_images, False, **UNTRAINED),
)
