"""Small configurations of transformers' models."""

from __future__ import annotations

import dataclasses
from typing import Any

import transformers

VOCABULARY = 64
WIDTH = 32

# A field of a configuration gets the number that stands here where it is a number.
SMALL = {
    # widths
    **dict.fromkeys(
        ("hidden_size", "d_model", "n_embd", "dim", "embed_dim", "emb_dim", "embedding_size",
         "d_embed", "encoder_hidden_size", "decoder_hidden_size", "model_dim", "hidden_dim",
         "projection_dim", "proj_dim", "word_embed_proj_dim", "lru_width", "d_inner",
         "out_hidden_size",
         "output_dim", "encoder_hidden_dim", "mlp_dim", "fusion_hidden_size", "cross_attention_dim",
         "decoder_hidden_dim", "text_embed_dim", "conv_dim", "feature_size"),
        WIDTH,
    ),
    **dict.fromkeys(
        ("intermediate_size", "ffn_dim", "n_inner", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim",
         "encoder_intermediate_size", "ffn_hidden_size", "feed_forward_proj_dim",
         "decoder_intermediate_size", "shared_expert_intermediate_size"),
        48,
    ),
    **dict.fromkeys(("moe_intermediate_size", "expert_ffn_hidden_size"), 24),
    # depths
    **dict.fromkeys(
        ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers",
         "decoder_layers", "num_decoder_layers", "num_encoder_layers", "depth",
         "decoder_num_hidden_layers", "encoder_num_layers", "decoder_num_layers",
         "encoder_num_hidden_layers"),
        2,
    ),
    # heads
    **dict.fromkeys(
        ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads",
         "decoder_attention_heads", "decoder_num_attention_heads", "encoder_num_attention_heads"),
        4,
    ),
    **dict.fromkeys(("num_key_value_heads", "n_kv_heads", "num_kv_heads"), 2),
    **dict.fromkeys(("head_dim", "d_kv", "attention_head_dim", "attention_head_size", "d_head"), 8),
    # experts
    **dict.fromkeys(
        ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4
    ),
    **dict.fromkeys(("num_experts_per_tok", "moe_k"), 2),
    # inputs
    "vocab_size": VOCABULARY,
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_source_positions",
                     "max_target_positions", "n_ctx", "max_seq_len"), 64),
    "image_size": 32,
    "patch_size": 8,
    "num_labels": 5,
}  # fmt: skip
TOKENS = {
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
    "image_token_id": 60, "image_token_index": 60, "video_token_id": 61, "video_token_index": 61,
    "audio_token_id": 62, "audio_token_index": 62, "vision_start_token_id": 57,
    "vision_end_token_id": 58,
}  # fmt: skip


# These get theirs, too, where the configuration leaves them open.
LEFT_OPEN = {"num_key_value_heads", "num_experts_per_tok", "n_routed_experts", "vocab_size"}


def small(kind: type[Any], /, **changes: Any) -> Any:
    """A configuration of a kind with small numbers; parts of it may be changed by a dict each."""
    default = kind()
    chosen: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        name, value = field.name, getattr(default, field.name, None)
        if name in kind.sub_configs:
            own = changes.get(name, {})
            if isinstance(own, dict) and (own or value is not None):
                other = own.get("model_type")
                part = transformers.CONFIG_MAPPING[other] if other else type(value)
                chosen[name] = small(part, **{k: v for k, v in own.items() if k != "model_type"})
        elif isinstance(value, bool):
            continue
        elif name in SMALL and (isinstance(value, int) or (value is None and name in LEFT_OPEN)):
            chosen[name] = SMALL[name]
        elif name.endswith(("_token_id", "_token_index")) and isinstance(value, int):
            chosen[name] = TOKENS.get(name, 50)
    given = {k: v for k, v in changes.items() if k not in chosen or not isinstance(v, dict)}
    return kind(**{**chosen, **given})


def small_model(name: str, /, **changes: Any) -> Any:
    """A model of transformers, of a small configuration, with random weights."""
    model = getattr(transformers, name)
    return model(small(model.config_class, **changes))
