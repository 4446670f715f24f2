"""Tiny random networks of the transformers library."""

from __future__ import annotations

import torch
import transformers
from torch import Tensor, nn

Example = tuple[nn.Module, dict[str, Tensor]]

WIDTHS = {"vocab_size": 12, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2}
GROUPED = {**WIDTHS, "num_attention_heads": 4, "num_key_value_heads": 2}


def _tokens(count: int = 5) -> Tensor:
    return (torch.arange(count) * 3 % 11).unsqueeze(0)


def gpt2() -> Example:
    """Fused queries, keys and values in ``Conv1D``; tied language-model head."""
    config = transformers.GPT2Config(
        vocab_size=12, n_positions=8, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    return transformers.GPT2LMHeadModel(config), {"input_ids": _tokens()}


def bert() -> Example:
    """Encoder with a pooler."""
    config = transformers.BertConfig(**WIDTHS, num_attention_heads=2, max_position_embeddings=8)
    return transformers.BertModel(config), {"input_ids": _tokens()}


def llama() -> Example:
    """Grouped queries, rotary positions, gated perceptrons, RMS norm."""
    config = transformers.LlamaConfig(**GROUPED, max_position_embeddings=16)
    return transformers.LlamaForCausalLM(config), {"input_ids": _tokens()}


def qwen3() -> Example:
    """As Llama, with normalised queries and keys."""
    config = transformers.Qwen3Config(**GROUPED, max_position_embeddings=16, head_dim=4)
    return transformers.Qwen3ForCausalLM(config), {"input_ids": _tokens()}


def deepseek() -> Example:
    """Latent attention: keys and values from a few common numbers, rotary positions beside."""
    config = transformers.DeepseekV3Config(
        vocab_size=12, hidden_size=8, intermediate_size=12, num_hidden_layers=1,
        first_k_dense_replace=1, num_attention_heads=2, num_key_value_heads=2, q_lora_rank=4,
        kv_lora_rank=4, qk_nope_head_dim=2, qk_rope_head_dim=2, v_head_dim=3,
        max_position_embeddings=16,
    )  # fmt: skip
    return transformers.DeepseekV3ForCausalLM(config), {"input_ids": _tokens()}


def swin2() -> Example:
    """Cosine attention in shifted windows."""
    config = transformers.Swinv2Config(
        image_size=8, patch_size=2, num_channels=1, embed_dim=4, depths=[2], num_heads=[2],
        window_size=2, mlp_ratio=1.0,
    )  # fmt: skip
    return transformers.Swinv2Model(config), {"pixel_values": torch.ones(1, 1, 8, 8)}


def t5() -> Example:
    """Encoder and decoder with cross attention."""
    config = transformers.T5Config(
        vocab_size=12, d_model=6, d_kv=3, d_ff=8, num_layers=1, num_heads=2,
        decoder_start_token_id=0,
    )  # fmt: skip
    inputs = {"input_ids": _tokens(), "decoder_input_ids": _tokens(3)}
    return transformers.T5ForConditionalGeneration(config), inputs


def bart() -> Example:
    """Encoder and decoder with cross attention, learned positions."""
    config = transformers.BartConfig(
        vocab_size=12, d_model=8, max_position_embeddings=8, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=12,
        decoder_ffn_dim=12, bos_token_id=0, pad_token_id=1, eos_token_id=2,
        decoder_start_token_id=2, forced_eos_token_id=2,
    )  # fmt: skip
    inputs = {"input_ids": _tokens(), "decoder_input_ids": _tokens(3)}
    return transformers.BartModel(config), inputs


def vit() -> Example:
    """A vision transformer with a classifier."""
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, image_size=8,
        intermediate_size=12, patch_size=4,
    )  # fmt: skip
    return transformers.ViTForImageClassification(config), {"pixel_values": torch.ones(1, 3, 8, 8)}
