"""segmentation_models_pytorch: its decoders, and kinds of encoders."""

from __future__ import annotations

from functools import partial

import segmentation_models_pytorch as smp

from tests.coverage.architectures.architecture import Architecture, image

DECODERS = """
    Unet UnetPlusPlus MAnet Linknet FPN PSPNet PAN DeepLabV3 DeepLabV3Plus UPerNet Segformer
"""
ENCODERS = "mobilenet_v2 timm-efficientnet-b0 mit_b0 mobileone_s0 densenet121"


def _architecture(decoder: str, encoder: str) -> Architecture:
    make = getattr(smp, decoder)
    return Architecture(
        f"segmentation_models_pytorch/{decoder}-{encoder}",
        partial(make, encoder_name=encoder, encoder_weights=None),
        partial(image, 128),
        alone=True,
    )


ARCHITECTURES = (
    *(_architecture(decoder, "resnet18") for decoder in DECODERS.split()),
    *(_architecture("Unet", encoder) for encoder in ENCODERS.split()),
)
