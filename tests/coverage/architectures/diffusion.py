"""diffusers: denoisers and autoencoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import torch
from torch import Tensor

from tests.coverage.architectures.architecture import Architecture, image, noise

TIME = torch.tensor([5])


def _model(
    name: str, example: Callable[[], Any], suffix: str = "", /, **options: Any
) -> Architecture:
    make = getattr(diffusers, name)
    return Architecture(f"diffusers/{name}{suffix}", lambda: make(**options), example)


def _latents(channels: int = 4, size: int = 8) -> dict[str, Tensor]:
    return {"sample": noise(1, channels, size, size), "timestep": TIME}


def _conditioned(channels: int = 4, size: int = 8, width: int = 16) -> dict[str, Tensor]:
    return {**_latents(channels, size), "encoder_hidden_states": noise(1, 5, width)}


def _transformer(channels: int = 4, size: int = 8, width: int = 16) -> dict[str, Tensor]:
    return {
        "hidden_states": noise(1, channels, size, size),
        "timestep": TIME,
        "encoder_hidden_states": noise(1, 5, width),
    }


def _video(channels: int = 4, frames: int = 2, width: int = 16) -> dict[str, Tensor]:
    return {
        "hidden_states": noise(1, channels, frames, 8, 8),
        "timestep": TIME,
        "encoder_hidden_states": noise(1, 5, width),
    }


def _flux() -> dict[str, Tensor]:
    return {
        "hidden_states": noise(1, 16, 4),
        "encoder_hidden_states": noise(1, 5, 16),
        "pooled_projections": noise(1, 16),
        "timestep": torch.tensor([0.5]),
        "img_ids": torch.zeros(16, 3),
        "txt_ids": torch.zeros(5, 3),
    }


UNET = {
    "sample_size": 8, "block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8,
}  # fmt: skip
CROSS = {
    **UNET, "cross_attention_dim": 16, "attention_head_dim": 8,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}  # fmt: skip
AUTOENCODER = {
    "block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8,
    "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2,
}  # fmt: skip
HEADS = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 1}

ARCHITECTURES = (
    _model("UNet2DModel", lambda: _latents(3), **UNET, attention_head_dim=8,
           down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D",
           "UpBlock2D")),
    _model("UNet2DConditionModel", _conditioned, **CROSS),
    _model("UNet1DModel", lambda: {"sample": noise(1, 14, 16), "timestep": TIME}, sample_size=16,
           in_channels=14, out_channels=14, block_out_channels=(8, 8), layers_per_block=1,
           use_timestep_embedding=True,
           time_embedding_type="positional", norm_num_groups=4, act_fn="mish",
           out_block_type="OutConv1DBlock", extra_in_channels=0,
           down_block_types=("DownResnetBlock1D", "DownResnetBlock1D"),
           up_block_types=("UpResnetBlock1D",), mid_block_type="MidResTemporalBlock1D",
           downsample_each_block=False),
    _model("UNet3DConditionModel", lambda: {"sample": noise(1, 4, 2, 8, 8), "timestep": TIME,
        "encoder_hidden_states": noise(1, 5, 16)},
        **CROSS | {"down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
                   "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D")}),
    _model("UNetMotionModel", lambda: {"sample": noise(1, 4, 2, 8, 8), "timestep": TIME,
        "encoder_hidden_states": noise(1, 5, 16)},
           sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
           cross_attention_dim=16, num_attention_heads=2, motion_num_attention_heads=2,
           motion_max_seq_length=4,
           down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"),
           up_block_types=("UpBlockMotion", "CrossAttnUpBlockMotion")),
    _model("ControlNetModel", lambda: {**_conditioned(), "controlnet_cond": image(64)},
        block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
           cross_attention_dim=16, attention_head_dim=8, down_block_types=("CrossAttnDownBlock2D",
           "DownBlock2D"), conditioning_embedding_out_channels=(8, 16, 16, 16)),
    _model("AutoencoderKL", image, **AUTOENCODER),
    _model("AutoencoderTiny", image, encoder_block_out_channels=(16, 16),
        decoder_block_out_channels=(16, 16), num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1)),
    _model("VQModel", image, **AUTOENCODER),
    _model("AutoencoderDC", image, encoder_block_out_channels=(16, 16),
        decoder_block_out_channels=(16, 16), encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
           encoder_block_types="ResBlock", decoder_block_types="ResBlock", latent_channels=4,
           encoder_qkv_multiscales=((), ()), decoder_qkv_multiscales=((), ())),
    _model("AutoencoderKLWan", lambda: noise(1, 3, 5, 16, 16), base_dim=8, z_dim=4, dim_mult=[1, 1,
        1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
           latents_mean=[0.0] * 4, latents_std=[1.0] * 4),
    _model("DiTTransformer2DModel", lambda: {"hidden_states": noise(1, 4, 8, 8), "timestep": TIME,
        "class_labels": torch.tensor([1])}, **HEADS, in_channels=4, out_channels=8,
           sample_size=8, patch_size=2, num_embeds_ada_norm=8, norm_num_groups=8),
    _model("PixArtTransformer2DModel", lambda: {**_transformer(),
        "added_cond_kwargs": {"resolution": None, "aspect_ratio": None}}, **HEADS, in_channels=4,
        out_channels=8, sample_size=8, cross_attention_dim=16, caption_channels=16,
        use_additional_conditions=False, norm_num_groups=8),
    _model("Transformer2DModel", lambda: {"hidden_states": noise(1, 16, 8, 8),
        "encoder_hidden_states": noise(1, 5, 16)}, **HEADS, in_channels=16, norm_num_groups=8,
        cross_attention_dim=16),
    _model("SD3Transformer2DModel", lambda: {**_transformer(), "pooled_projections": noise(1, 16)},
        **{**HEADS, "num_layers": 2}, sample_size=8, patch_size=2, in_channels=4, out_channels=4,
           joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=16,
           pos_embed_max_size=8),
    _model("FluxTransformer2DModel", _flux, **HEADS, num_single_layers=1, in_channels=4,
        joint_attention_dim=16, pooled_projection_dim=16, axes_dims_rope=(2, 2, 4)),
    _model("SanaTransformer2DModel", _transformer, **HEADS, in_channels=4, out_channels=4,
        sample_size=8, patch_size=1, num_cross_attention_heads=2, cross_attention_head_dim=8,
        cross_attention_dim=16, caption_channels=16),
    _model("AuraFlowTransformer2DModel",
        lambda: _transformer() | {"timestep": torch.tensor([0.5])}, num_mmdit_layers=1,
        num_single_dit_layers=1, num_attention_heads=2, attention_head_dim=8, in_channels=4,
        out_channels=4, sample_size=8,
           joint_attention_dim=16, caption_projection_dim=16, pos_embed_max_size=16),
    _model("CogVideoXTransformer3DModel", lambda: {"hidden_states": noise(1, 2, 4, 8, 8),
        "timestep": TIME, "encoder_hidden_states": noise(1, 5, 16)}, **HEADS, in_channels=4,
        out_channels=4, time_embed_dim=8, text_embed_dim=16, sample_width=8, sample_height=8,
        sample_frames=5, patch_size=2, max_text_seq_length=5),
    _model("WanTransformer3DModel", _video, num_attention_heads=2, attention_head_dim=12,
        num_layers=1, in_channels=4, out_channels=4, text_dim=16, freq_dim=16, ffn_dim=32),
    _model("PriorTransformer", lambda: {"hidden_states": noise(1, 16), "timestep": TIME,
        "proj_embedding": noise(1, 16), "encoder_hidden_states": noise(1, 7, 16)}, **HEADS,
        embedding_dim=16, num_embeddings=7, additional_embeddings=4),
)  # fmt: skip
