"""timm: a small one of each family; where it has a depth to give, less of it."""

from __future__ import annotations

from functools import partial
from typing import Any

import timm
from torch import Tensor

from tests.coverage.architectures.architecture import Architecture, image

NAMES = """
    botnet26t_256 coat_lite_tiny coat_tiny convmixer_768_32 convnext_atto convnextv2_atto
    crossvit_tiny_240 cspdarknet53 davit_tiny densenet121 dla34 dpn68 edgenext_xx_small
    efficientformer_l1 efficientformerv2_s0 efficientnet_b0 efficientnetv2_rw_t efficientvit_b0
    efficientvit_m0 fasternet_t0 fastvit_t8 focalnet_tiny_srf gcvit_xxtiny ghostnet_100
    ghostnetv2_100 halonet26t hgnetv2_b0 hiera_tiny_224 hrnet_w18_small inception_next_atto
    inception_resnet_v2 inception_v3 lambda_resnet26t lcnet_050 legacy_seresnet18 levit_128s
    mambaout_femto maxvit_pico_rw_256 coatnet_pico_rw_224 mixnet_s mobilenetv2_100
    mobilenetv3_small_100 mobilenetv4_conv_small mobileone_s0 mobilevit_xxs mobilevitv2_050
    mvitv2_tiny nest_tiny nextvit_small nfnet_f0 pit_ti_224 poolformer_s12 convformer_s18 pvt_v2_b0
    rdnet_tiny regnetx_002 regnety_002 repghostnet_050 repvgg_a0 repvit_m0_9 res2net50_14w_8s
    resnest14d resnet18 resnet50 resnetv2_50 rexnet_100 sequencer2d_s shvit_s1 skresnet18 starnet_s1
    swiftformer_xs swin_tiny_patch4_window7_224 swinv2_cr_tiny_224 swinv2_tiny_window8_256
    tiny_vit_5m_224 tresnet_m twins_pcpvt_small twins_svt_small vgg11_bn visformer_tiny
    vit_tiny_r_s16_p8_224 vitamin_small_224 volo_d1_224 ese_vovnet19b_dw xception41
"""
LESS: dict[str, dict[str, Any]] = {
    "beit_base_patch16_224": {"depth": 2, "embed_dim": 192, "num_heads": 3},
    "cait_xxs24_224": {"depth": 2},
    "convit_tiny": {"depth": 3, "local_up_to_layer": 2},
    "deit_tiny_distilled_patch16_224": {"depth": 2},
    "deit3_small_patch16_224": {"depth": 2},
    "eva02_tiny_patch14_224": {"depth": 2},
    "gmlp_ti16_224": {},
    "mixer_s32_224": {},
    "resmlp_12_224": {},
    "tnt_s_patch16_224": {"depth": 2},
    "vit_tiny_patch16_224": {"depth": 2},
    "vit_relpos_small_patch16_224": {"depth": 2},
    "vit_base_patch16_clip_224": {"depth": 2, "embed_dim": 192, "num_heads": 3},
    "vit_base_patch16_siglip_224": {"depth": 2, "embed_dim": 192, "num_heads": 3},
    "xcit_nano_12_p16_224": {"depth": 2},
}
# Sizes that are tried unasked; other ones a user has to give.
USUAL = (224, 299)


def _size(name: str) -> int:
    return timm.get_pretrained_cfg(name).input_size[-1]


def _example(name: str) -> Tensor:
    return image(_size(name))


def _architecture(name: str, **options: Any) -> Architecture:
    build = partial(timm.create_model, name, **options)
    return Architecture(f"timm/{name}", build, partial(_example, name), _size(name) in USUAL)


ARCHITECTURES = tuple(_architecture(name, **LESS.get(name, {})) for name in [*NAMES.split(), *LESS])
