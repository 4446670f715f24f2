"""Convolutional networks with branches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it


def _conv(inputs: int, outputs: int, kernel: int = 1, **options: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **options)


class Residual(nn.Module):
    """A residual block, basic or bottleneck, with a projection where the width changes."""

    def __init__(
        self, inputs: int, outputs: int, stride: int = 1, bottleneck: bool = False
    ) -> None:
        """Choose the kind of block."""
        super().__init__()
        inner = 3 if bottleneck else outputs
        self.conv1 = _conv(inputs, inner, 1 if bottleneck else 3, stride=stride)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = _conv(inner, inner if bottleneck else outputs, 3)
        self.bn2 = nn.BatchNorm2d(inner if bottleneck else outputs)
        self.bottleneck = bottleneck
        if bottleneck:
            self.conv3 = _conv(inner, outputs)
            self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if inputs != outputs or stride > 1:
            self.downsample = nn.Sequential(
                _conv(inputs, outputs, stride=stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """One block."""
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            y = self.bn3(self.conv3(self.relu(y)))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


def resnet(bottleneck: bool = False) -> nn.Module:
    """Stem, two stages, head."""
    return nn.Sequential(
        *(_conv(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(Residual(4, 4, 1, bottleneck), Residual(4, 4, 1, bottleneck)),
        *(Residual(4, 6, 2, bottleneck), Residual(6, 6, 1, bottleneck)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)),
    )


class PaddedShortcut(nn.Module):
    """A residual block whose shortcut pads channels with zeros."""

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.stem = _conv(2, 3, 3)
        self.wide = _conv(3, 7, 3, stride=2)
        self.head = _conv(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        """One block between stem and head."""
        x = self.stem(x)
        return self.head(self.wide(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)))


class DenseNet(nn.Module):
    """A dense block, a transition, another dense block."""

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.stem = _conv(3, 4, 3)
        self.block1 = nn.ModuleList(self._layer(4 + 3 * i) for i in range(3))
        self.transition = nn.Sequential(
            nn.BatchNorm2d(13), nn.ReLU(), _conv(13, 6), nn.AvgPool2d(2)
        )
        self.block2 = nn.ModuleList(self._layer(6 + 3 * i) for i in range(2))
        self.head = nn.Linear(12, 4)

    @staticmethod
    def _layer(inputs: int) -> nn.Module:
        return nn.Sequential(
            *(nn.BatchNorm2d(inputs), nn.ReLU(), _conv(inputs, 5)),
            *(nn.BatchNorm2d(5), nn.ReLU(), _conv(5, 3, 3)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Classify ``[n, 3, 8, 8]``."""
        features = [self.stem(x)]
        for layer in self.block1:
            features.append(layer(torch.cat(features, 1)))
        features = [self.transition(torch.cat(features, 1))]
        for layer in self.block2:
            features.append(layer(torch.cat(features, 1)))
        return self.head(torch.cat(features, 1).relu().mean((2, 3)))


class Inception(nn.Module):
    """Parallel branches, one of them pooled, concatenated."""

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.stem = _conv(3, 4, 3)
        self.one = _conv(4, 3)
        self.three = nn.Sequential(_conv(4, 2), nn.ReLU(), _conv(2, 5, 3))
        self.rows = nn.Conv2d(4, 2, (1, 5), padding=(0, 2))
        self.columns = nn.Conv2d(2, 3, (5, 1), padding=(2, 0))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), _conv(4, 2))
        self.head = nn.Linear(3 + 5 + 3 + 2 + 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Classify ``[n, 3, 8, 8]``."""
        x = self.stem(x).relu()
        parts = [self.one(x), self.three(x), self.columns(self.rows(x)), self.pooled(x)]
        parts.append(F.avg_pool2d(x, 3, 1, 1))
        return self.head(F.adaptive_avg_pool2d(torch.cat(parts, 1), 1)[:, :, 0, 0])


class SqueezeExcite(nn.Module):
    """Channel gates from pooled features."""

    def __init__(self, width: int, inner: int) -> None:
        """Build the maps."""
        super().__init__()
        self.reduce = nn.Conv2d(width, inner, 1)
        self.expand = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate ``x``."""
        gate = self.reduce(F.adaptive_avg_pool2d(x, 1)).relu()
        return F.hardsigmoid(self.expand(gate)) * x


class MobileNet(nn.Module):
    """Inverted residuals with depthwise convolutions; version 3 adds gates and hard swish."""

    def __init__(self, version: int = 2) -> None:
        """Choose the version."""
        super().__init__()
        act: type[nn.Module] = nn.ReLU6 if version == 2 else nn.Hardswish
        self.stem = nn.Sequential(_conv(3, 4, 3, stride=2), nn.BatchNorm2d(4), act())
        self.expand = nn.Sequential(_conv(4, 8), nn.BatchNorm2d(8), act())
        self.depthwise = nn.Sequential(_conv(8, 8, 3, groups=8), nn.BatchNorm2d(8), act())
        self.gate = SqueezeExcite(8, 3) if version == 3 else nn.Identity()
        self.project = nn.Sequential(_conv(8, 4), nn.BatchNorm2d(4))
        self.last = nn.Sequential(_conv(4, 9), nn.BatchNorm2d(9), act())
        self.head = nn.Linear(9, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Classify ``[n, 3, 8, 8]``."""
        x = self.stem(x)
        x = x + self.project(self.gate(self.depthwise(self.expand(x))))
        return self.head(F.adaptive_avg_pool2d(self.last(x), 1).flatten(1))


class ShuffleNet(nn.Module):
    """Channel split, a branch on one half, concatenation, channel shuffle."""

    def __init__(self, units: int = 2) -> None:
        """Build the maps."""
        super().__init__()
        self.stem = _conv(3, 8, 3)
        self.units = nn.ModuleList(
            nn.Sequential(_conv(4, 4), nn.ReLU(), _conv(4, 4, 3, groups=4), _conv(4, 4), nn.ReLU())
            for _ in range(units)
        )
        self.grouped = _conv(8, 6, 3, groups=2)
        self.head = nn.Linear(6, 3)

    @staticmethod
    def shuffle(x: Tensor, groups: int = 2) -> Tensor:
        """Interleave the groups' channels."""
        n, c, h, w = x.shape
        return x.view(n, groups, c // groups, h, w).transpose(1, 2).contiguous().view(n, c, h, w)

    def forward(self, x: Tensor) -> Tensor:
        """Classify ``[n, 3, 8, 8]``."""
        x = self.stem(x)
        for unit in self.units:
            kept, worked = x.chunk(2, dim=1)
            x = self.shuffle(torch.cat([kept, unit(worked)], dim=1))
        return self.head(self.grouped(x).mean([2, 3]))


class UNet(nn.Module):
    """Two scales, a concatenated skip, a transposed convolution."""

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.down = nn.Sequential(_conv(1, 3, 3), nn.GroupNorm(1, 3), nn.SiLU())
        self.deep = nn.Sequential(nn.MaxPool2d(2), _conv(3, 5, 3), nn.InstanceNorm2d(5), nn.ReLU())
        self.up = nn.ConvTranspose2d(5, 4, 2, stride=2)
        self.merge = _conv(7, 3, 3)
        self.out = _conv(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Segment ``[n, 1, 8, 8]``."""
        skip = self.down(x)
        return self.out(F.elu(self.merge(torch.cat([skip, self.up(self.deep(skip))], dim=1))))


class ConvNeXt(nn.Module):
    """Depthwise convolution, channels-last layer norm and linear maps, layer scale."""

    def __init__(self, width: int = 4) -> None:
        """Build the maps."""
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, 4)
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.5))
        self.head_norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Classify ``[n, 3, 16, 16]``."""
        x = self.stem(x)
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(F.gelu(self.wide(y)))
        x = x + y.permute(0, 3, 1, 2)
        return self.head(self.head_norm(x.mean([-2, -1])))


class PatchMerging(nn.Module):
    """Four neighbouring positions concatenated into channels, read by a linear map."""

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.stem = nn.Conv2d(1, 3, 2, 2)
        self.merge = nn.Linear(12, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Merge ``[n, 1, 8, 8]``."""
        x = self.stem(x).permute(0, 2, 3, 1).roll((1, 1), (1, 2))
        corners = [x[:, i::2, j::2] for i in range(2) for j in range(2)]
        return self.head(self.merge(torch.cat(corners, -1)).flatten(1, 2).mean(1))


class PixelShuffle(nn.Module):
    """Channels to positions and back."""

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.first = _conv(1, 12, 3)
        self.second = _conv(3, 2, 3)
        self.third = _conv(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Upscale ``[n, 1, 4, 4]``, then fold back."""
        return self.third(F.pixel_unshuffle(self.second(F.pixel_shuffle(self.first(x), 2)), 2))
