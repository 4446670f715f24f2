"""transformers: sound, and series of numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from tests.coverage.architectures.architecture import Architecture, noise, tokens
from tests.coverage.architectures.configurations import small_model


def _given(name: str, example: Callable[[], Any], /, **changes: Any) -> Architecture:
    return Architecture(f"transformers/{name}", partial(small_model, name, **changes), example)


def _wave() -> dict[str, Any]:
    return {"input_values": noise(1, 800)}


def _mel() -> dict[str, Any]:
    return {"input_features": noise(1, 16, 32), "decoder_input_ids": tokens(4)}


def _series(past: int = 16) -> dict[str, Any]:
    return {"past_values": noise(1, past, 3)}


def _lagged() -> dict[str, Any]:
    return {
        "past_values": noise(1, 19),
        "past_time_features": noise(1, 19, 1),
        "past_observed_mask": torch.ones(1, 19),
        "future_values": noise(1, 8),
        "future_time_features": noise(1, 8, 1),
    }


WAVES = {
    "conv_dim": [16, 16], "conv_kernel": [10, 4], "conv_stride": [5, 4],
        "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
LAGS = {
    "prediction_length": 8,
    "context_length": 16,
    "lags_sequence": [1, 2, 3],
    "num_time_features": 1,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "d_model": 16,
}

ARCHITECTURES = (
    _given("Wav2Vec2ForCTC", _wave, **WAVES),
    _given("HubertForCTC", _wave, **WAVES),
    _given("WavLMForCTC", _wave, **WAVES),
    _given("UniSpeechForCTC", _wave, **WAVES),
    _given("SEWForCTC", _wave, **WAVES, squeeze_factor=2),
    _given("Data2VecAudioForCTC", _wave, **WAVES, conv_pos_kernel_size=3),
    _given("Wav2Vec2ConformerForCTC", _wave, **WAVES, conv_depthwise_kernel_size=3),
    _given("Wav2Vec2BertForCTC", lambda: {"input_features": noise(1, 20, 16)},
        feature_projection_input_dim=16, conv_depthwise_kernel_size=3),
    _given("WhisperForConditionalGeneration", _mel, num_mel_bins=16, max_source_positions=16),
    _given("WhisperForAudioClassification", lambda: {"input_features": noise(1, 16, 32)},
        num_mel_bins=16, max_source_positions=16, classifier_proj_size=16),
    _given("ASTForAudioClassification", lambda: {"input_values": noise(1, 32, 16)}, max_length=32,
        num_mel_bins=16, time_stride=4, frequency_stride=4),
    _given("Speech2TextForConditionalGeneration", lambda: {"input_features": noise(1, 32, 16),
        "decoder_input_ids": tokens(4)}, input_feat_per_channel=16, conv_channels=16),
    _given("SpeechT5ForSpeechToText",
        lambda: {"input_values": noise(1, 800), "decoder_input_ids": tokens(4)}, **WAVES),
    _given("MoonshineForConditionalGeneration", lambda: {"input_values": noise(1, 4000),
        "decoder_input_ids": tokens(4)}, encoder_num_key_value_heads=4,
        decoder_num_key_value_heads=4, encoder_num_hidden_layers=2, decoder_num_hidden_layers=2),
    _given("ClapModel", lambda: {"input_ids": tokens(), "input_features": noise(1, 1, 64, 16),
        "is_longer": torch.tensor([[False]])},
           audio_config={"spec_size": 64, "num_mel_bins": 16, "depths": [1, 1],
           "num_attention_heads": [2, 4], "patch_embeds_hidden_size": 16, "patch_size": 4,
           "patch_stride": [4, 4], "window_size": 4, "hidden_size": 32, "enable_fusion": False}),
    _given("EncodecModel", lambda: {"input_values": noise(1, 1, 320)}, num_filters=4,
        upsampling_ratios=[4, 2], codebook_size=16, codebook_dim=16, hidden_size=16,
        num_lstm_layers=1),
    _given("DacModel", lambda: {"input_values": noise(1, 1, 320)}, encoder_hidden_size=8,
        downsampling_ratios=[2, 4], decoder_hidden_size=16, upsampling_ratios=[4, 2],
        n_codebooks=2, codebook_size=16, codebook_dim=4),
    _given("VitsModel", lambda: {"input_ids": tokens()}, flow_size=16, spectrogram_bins=17,
        upsample_initial_channel=32, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1]], prior_encoder_num_flows=1,
        prior_encoder_num_wavenet_layers=1, posterior_encoder_num_wavenet_layers=1,
        duration_predictor_num_flows=1),
    _given("FastSpeech2ConformerModel", lambda: {"input_ids": tokens()}, encoder_layers=1,
        decoder_layers=1, num_mel_bins=16, encoder_linear_units=32, decoder_linear_units=32,
        speech_decoder_postnet_units=16, duration_predictor_channels=16,
        energy_predictor_channels=16, pitch_predictor_channels=16),
    _given("ParakeetForCTC", lambda: {"input_features": noise(1, 64, 16)},
        encoder_config={"num_mel_bins": 16, "subsampling_conv_channels": 8}),
    _given("PatchTSTForPrediction", _series, num_input_channels=3, context_length=16,
        patch_length=4, patch_stride=4, prediction_length=4),
    _given("PatchTSMixerForPrediction", _series, num_input_channels=3, context_length=16,
        patch_length=4, patch_stride=4, prediction_length=4),
    _given("TimeSeriesTransformerForPrediction", _lagged, **LAGS),
    _given("InformerForPrediction", _lagged, **LAGS),
    _given("AutoformerForPrediction", _lagged, **LAGS),
    _given("DecisionTransformerModel", lambda: {"states": noise(1, 4, 5), "actions": noise(1, 4,
        3), "rewards": noise(1, 4, 1), "returns_to_go": noise(1, 4, 1),
        "timesteps": torch.arange(4)[None], "attention_mask": torch.ones(1, 4)}, state_dim=5,
        act_dim=3, max_ep_len=16),
)  # fmt: skip
