"""transformers: a text and an image together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tests.coverage.architectures.architecture import Architecture, image, noise, tokens
from tests.coverage.architectures.configurations import TOKENS, small_model


def _given(name: str, example: Callable[[], Any], /, **changes: Any) -> Architecture:
    return Architecture(f"transformers/{name}", partial(small_model, name, **changes), example)


def _pair() -> dict[str, Tensor]:
    """Beside each other."""
    return {"input_ids": tokens(), "pixel_values": image()}


def _inside(count: int, size: int = 32) -> Callable[[], dict[str, Tensor]]:
    """An image whose parts take the places of so many words."""

    def example() -> dict[str, Tensor]:
        places = torch.full((1, count), TOKENS["image_token_id"])
        return {
            "input_ids": torch.cat([tokens(2), places, tokens(4)], 1),
            "pixel_values": image(size),
        }

    return example


def _grid(width: int, merged: int = 4) -> Callable[[], dict[str, Tensor]]:
    """An image of 4 x 4 patches, flattened as Qwen's processors do it."""

    def example() -> dict[str, Tensor]:
        inside = _inside(16 // merged)()
        ids = inside["input_ids"]
        ids = torch.cat([torch.tensor([[TOKENS["vision_start_token_id"]]]), ids[:, 2:]], 1)
        return {
            "input_ids": ids,
            "pixel_values": noise(16, width),
            "image_grid_thw": torch.tensor([[1, 4, 4]]),
            "mm_token_type_ids": (ids == TOKENS["image_token_id"]).long(),
        }

    return example


TURNED = {
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
}

ARCHITECTURES = (
    _given("CLIPModel", _pair),
    _given("SiglipModel", _pair),
    _given("AltCLIPModel", _pair),
    _given("ChineseCLIPModel", _pair),
    _given("AlignModel", _pair, projection_dim=80, vision_config={"width_coefficient": 0.25,
        "depth_coefficient": 0.25, "hidden_dim": 80}),
    _given("BlipForConditionalGeneration", _pair),
    _given("Blip2ForConditionalGeneration", _inside(4), num_query_tokens=4, image_token_index=60),
    _given("InstructBlipForConditionalGeneration", lambda: {**_inside(4)(),
        "qformer_input_ids": tokens()}, num_query_tokens=4, image_token_index=60),
    _given("GitForCausalLM", _pair, vision_config={}),
    _given("LlavaForConditionalGeneration", _inside(16), image_seq_length=16),
    _given("VipLlavaForConditionalGeneration", _inside(16), vision_feature_layers=[-1, -2]),
    _given("LlavaNextForConditionalGeneration", lambda: {**_inside(16 * 2 + 4)(),
        "pixel_values": noise(1, 2, 3, 32, 32), "image_sizes": torch.tensor([[32, 32]])},
        image_grid_pinpoints=[[32, 32]], image_seq_length=16),
    _given("PaliGemmaForConditionalGeneration", _inside(16),
        vision_config={"vision_use_head": False}, projection_dim=32),
    _given("Gemma3ForConditionalGeneration", lambda: {**_inside(4)(),
        "token_type_ids": torch.zeros(1, 10, dtype=torch.long)}, mm_tokens_per_image=4),
    _given("Qwen2VLForConditionalGeneration", _grid(3 * 2 * 64), vision_config={"embed_dim": 32,
        "hidden_size": 32, "num_heads": 4}, text_config=TURNED),
    _given("Qwen2_5_VLForConditionalGeneration", _grid(3 * 2 * 64),
        vision_config={"out_hidden_size": 32, "fullatt_block_indexes": [1], "window_size": 32},
        text_config=TURNED),
    _given("Qwen3VLForConditionalGeneration", _grid(3 * 2 * 64),
        vision_config={"out_hidden_size": 32, "deepstack_visual_indexes": [0],
        "num_position_embeddings": 16}),
    _given("Idefics3ForConditionalGeneration", lambda: {**_inside(4)(), "pixel_values": noise(1, 1,
        3, 32, 32)}, scale_factor=2),
    _given("SmolVLMForConditionalGeneration", lambda: {**_inside(4)(), "pixel_values": noise(1, 1,
        3, 32, 32)}, scale_factor=2),
    _given("InternVLForConditionalGeneration", _inside(4), vision_config={"image_size": [32, 32],
        "patch_size": [8, 8]}),
    _given("AyaVisionForConditionalGeneration", _inside(4)),
    _given("Mistral3ForConditionalGeneration", lambda: {**_inside(4)(),
        "image_sizes": torch.tensor([[32, 32]])}),
    _given("ViltForQuestionAnswering", _pair),
    _given("VisualBertModel", lambda: {"input_ids": tokens(), "visual_embeds": noise(1, 4, 16)},
        visual_embedding_dim=16),
    _given("LxmertModel", lambda: {"input_ids": tokens(), "visual_feats": noise(1, 4, 16),
        "visual_pos": noise(1, 4, 4)}, l_layers=1, x_layers=1, r_layers=1, visual_feat_dim=16),
    _given("FlavaModel", _pair),
    _given("BridgeTowerModel", _pair, hidden_size=64, text_config={"hidden_size": 64},
        vision_config={"hidden_size": 64}),
    _given("CLIPSegForImageSegmentation", _pair, extract_layers=[0, 1], reduce_dim=16,
        decoder_intermediate_size=32),
    _given("OwlViTForObjectDetection", _pair),
    _given("GroupViTModel", _pair),
    _given("Florence2ForConditionalGeneration", _inside(5)),
    _given("Kosmos2ForConditionalGeneration", lambda: {**_pair(),
        "image_embeds_position_mask": torch.tensor([[0, 1, 1, 1, 1, 0, 0, 0]])},
        latent_query_num=4),
    _given("LayoutLMv3Model", lambda: {**_pair(), "bbox": torch.ones(1, 8, 4, dtype=torch.long)},
        input_size=32, coordinate_size=5, shape_size=6),
    _given("VisionEncoderDecoderModel", lambda: {"pixel_values": image(),
        "decoder_input_ids": tokens(4)}) ,
    _given("Pix2StructForConditionalGeneration", lambda: {"flattened_patches": noise(1, 6,
        2 + 48).abs(), "decoder_input_ids": tokens(4)},
        vision_config={"patch_embed_hidden_size": 48}),
    _given("GroundingDinoForObjectDetection", lambda: {"pixel_values": image(64),
        "input_ids": tokens()}),
)  # fmt: skip
