"""transformers: images, and films."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.coverage.architectures.architecture import Architecture, image, noise
from tests.coverage.architectures.configurations import small_model


def picture(name: str, /, size: int = 32, **changes: Any) -> Architecture:
    """A model of one image."""
    return Architecture(
        f"transformers/{name}",
        partial(small_model, name, **changes),
        lambda: {"pixel_values": image(size)},
        alone=True,
    )


def film(name: str, /, frames: int = 4, key: str = "pixel_values", **changes: Any) -> Architecture:
    """A model of a film."""
    return Architecture(
        f"transformers/{name}",
        partial(small_model, name, **changes),
        lambda: {key: noise(1, frames, 3, 32, 32)},
    )


# Of models that take their features from another one.
RESNET = {"model_type": "resnet", "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32],
          "embedding_size": 8, "out_features": ["stage1", "stage2", "stage3",
          "stage4"]}  # fmt: skip
DEFORMABLE = {"encoder_n_points": 2, "decoder_n_points": 2, "num_queries": 6}

ARCHITECTURES = (
    picture("ViTForImageClassification"),
    picture("DeiTForImageClassification"),
    picture("BeitForImageClassification"),
    picture("SwinForImageClassification", depths=[1, 1], num_heads=[2, 4], embed_dim=16,
        patch_size=4, window_size=4),
    picture("Swinv2ForImageClassification", depths=[1, 1], num_heads=[2, 4], embed_dim=16,
        patch_size=4, window_size=4),
    picture("ConvNextForImageClassification", depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32],
        patch_size=4),
    picture("ConvNextV2ForImageClassification", depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32],
        patch_size=4),
    picture("ResNetForImageClassification", depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32],
        embedding_size=8),
    picture("RegNetForImageClassification", depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32],
        embedding_size=8, groups_width=8),
    picture("MobileNetV1ForImageClassification", depth_multiplier=0.25),
    picture("MobileNetV2ForImageClassification", depth_multiplier=0.35),
    picture("MobileViTForImageClassification", hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8,
        16, 16, 24, 32, 32], patch_size=2),
    picture("MobileViTV2ForImageClassification", width_multiplier=0.25, patch_size=2, size=64),
    picture("LevitForImageClassification", hidden_sizes=[16, 24, 32], num_attention_heads=[2, 3,
        4], depths=[1, 1, 1], key_dim=[8, 8, 8], patch_size=16, image_size=64, size=64),
    picture("CvtForImageClassification", embed_dim=[8, 16, 24], num_heads=[1, 2, 3], depth=[1, 2,
        3]),
    picture("PvtForImageClassification", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 3, 4]),
    picture("PvtV2ForImageClassification", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 3, 4]),
    picture("SegformerForSemanticSegmentation", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 3, 4], decoder_hidden_size=16),
    picture("Dinov2ForImageClassification"),
    picture("Dinov2WithRegistersForImageClassification"),
    picture("DINOv3ViTModel"),
    picture("EfficientNetForImageClassification", width_coefficient=0.25, depth_coefficient=0.25,
        hidden_dim=320),
    picture("PoolFormerForImageClassification", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1],
        patch_size=7),
    picture("FocalNetForImageClassification", embed_dim=8, depths=[1, 1], focal_levels=[2, 2],
        focal_windows=[3, 3], patch_size=4),
    picture("HieraForImageClassification", embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 2, 4,
        8], image_size=[64, 64], size=64),
    picture("BitForImageClassification", embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1,
        1, 1, 1], num_groups=4),
    picture("ViTMAEForPreTraining"),
    picture("VitDetModel", pretrain_image_size=32),
    picture("SwiftFormerForImageClassification", depths=[1, 1, 1, 1], embed_dims=[8, 16, 24, 32],
        size=64),
    picture("HGNetV2ForImageClassification", stem_channels=[3, 8, 8], stage_in_channels=[8, 16, 16,
        24], stage_mid_channels=[8, 8, 8, 8], stage_out_channels=[16, 16, 24, 32],
        stage_num_blocks=[1, 1, 1, 1], hidden_sizes=[16, 16, 24, 32]),
    picture("DPTForDepthEstimation", neck_hidden_sizes=[8, 8, 16, 16], backbone_out_indices=[0, 1,
        2, 3], readout_type="project", num_hidden_layers=4),
    picture("DepthAnythingForDepthEstimation", backbone_config={"out_features": ["stage1",
        "stage2"], "reshape_hidden_states": False}, neck_hidden_sizes=[8, 16],
        reassemble_hidden_size=32, reassemble_factors=[2, 1], fusion_hidden_size=16,
        head_hidden_size=8, patch_size=8),
    picture("GLPNForDepthEstimation", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 3, 4], decoder_hidden_size=16, size=64),
    picture("UperNetForSemanticSegmentation", backbone_config=RESNET, hidden_size=16,
        auxiliary_in_channels=24, auxiliary_channels=16, size=64),
    picture("DetrForObjectDetection", backbone_config=RESNET, num_queries=6, size=64),
    picture("ConditionalDetrForObjectDetection", backbone_config=RESNET, num_queries=6, size=64),
    picture("DeformableDetrForObjectDetection", backbone_config=RESNET, **DEFORMABLE, size=64),
    picture("RTDetrForObjectDetection", backbone_config={"embedding_size": 8, "hidden_sizes": [8,
        16, 24, 32], "depths": [1, 1, 1, 1], "out_features": ["stage2", "stage3", "stage4"]},
        encoder_hidden_dim=32, encoder_layers=1, encoder_in_channels=[16, 24, 32], feat_strides=[8,
        16, 32], decoder_in_channels=[32, 32, 32], num_queries=6, size=64),
    picture("YolosForObjectDetection", image_size=[32, 32]),
    picture("Mask2FormerForUniversalSegmentation", backbone_config={"depths": [1, 1, 1, 1],
        "embed_dim": 8, "num_heads": [1, 2, 2, 2], "patch_size": 4, "window_size": 4,
        "out_features": ["stage1", "stage2", "stage3", "stage4"]}, encoder_layers=1,
        decoder_layers=2, num_queries=6, feature_size=32, num_attention_heads=8,
        mask_feature_size=32, dim_feedforward=48, size=64),
    picture("MaskFormerForInstanceSegmentation", backbone_config=RESNET, fpn_feature_size=32,
        mask_feature_size=32, size=64),
    picture("Swin2SRForImageSuperResolution", depths=[1, 1], num_heads=[2, 2], embed_dim=16,
        window_size=4, patch_size=1),
    picture("SuperPointForKeypointDetection", encoder_hidden_sizes=[8, 8, 16, 16],
        decoder_hidden_size=16, keypoint_decoder_dim=65, descriptor_decoder_dim=16),
    picture("SamModel", vision_config={"output_channels": 16, "num_pos_feats": 8,
        "global_attn_indexes": [1], "window_size": 2}, prompt_encoder_config={"hidden_size": 16,
        "image_embedding_size": 4}, mask_decoder_config={"hidden_size": 16,
        "num_attention_heads": 2, "mlp_dim": 32, "iou_head_hidden_dim": 16}),
    picture("TextNetForImageClassification"),
    film("VideoMAEForVideoClassification", num_frames=4),
    film("TimesformerForVideoClassification", num_frames=4),
    film("VivitForVideoClassification", num_frames=4, tubelet_size=[2, 8, 8]),
    film("VJEPA2Model", key="pixel_values_videos", crop_size=32, frames_per_clip=4,
        pred_hidden_size=24, pred_num_attention_heads=2, pred_num_hidden_layers=1),
)  # fmt: skip
