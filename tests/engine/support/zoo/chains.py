"""Chains: perceptrons, LeNet, VGG, autoencoders."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def perceptron() -> nn.Module:
    """Three linear maps."""
    return nn.Sequential(
        nn.Linear(6, 9), nn.ReLU(), nn.Dropout(), nn.Linear(9, 7), nn.GELU(), nn.Linear(7, 3)
    )


class LeNet(nn.Module):
    """Two convolutions, flattened channels first or last."""

    def __init__(self, channels_last: bool = False) -> None:
        """Choose the order of flattening."""
        super().__init__()
        self.channels_last = channels_last
        self.conv1 = nn.Conv2d(1, 4, 5, padding=2)
        self.conv2 = nn.Conv2d(4, 6, 5)
        self.fc1 = nn.Linear(6 * 3 * 3, 8)
        self.fc2 = nn.Linear(8, 5)

    def forward(self, image: Tensor) -> Tensor:
        """Classify ``[n, 1, 20, 20]``."""
        x = torch.max_pool2d(torch.relu(self.conv1(image)), 2)
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        if self.channels_last:
            x = x.permute(0, 2, 3, 1)
        return self.fc2(torch.tanh(self.fc1(torch.flatten(x, 1))))


def vgg(adaptive: bool = True) -> nn.Module:
    """Four convolutions with batch norm and a linear head."""
    layers: list[nn.Module] = []
    width = 3
    for wanted in (4, 5, 0, 6, 7, 0):
        if wanted:
            layers += [nn.Conv2d(width, wanted, 3, padding=1), nn.BatchNorm2d(wanted)]
            layers += [nn.ReLU(inplace=True)]
            width = wanted
        else:
            layers.append(nn.MaxPool2d(2))
    pool = [nn.AdaptiveAvgPool2d((2, 3))] if adaptive else []
    positions = 6 if adaptive else 16
    return nn.Sequential(
        *layers, *pool, nn.Flatten(), nn.Linear(7 * positions, 8), nn.ReLU(), nn.Linear(8, 4)
    )


class Autoencoder(nn.Module):
    """A linear map whose output is unflattened and read by transposed convolutions."""

    def __init__(self) -> None:
        """Build both halves."""
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(36, 10), nn.ReLU())
        self.decoder = nn.Sequential(
            nn.Linear(10, 5 * 2 * 3),
            nn.ReLU(),
            nn.Unflatten(1, (5, 2, 3)),
            nn.BatchNorm2d(5),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.ConvTranspose2d(5, 4, 3),
            nn.LeakyReLU(),
            nn.ConvTranspose2d(4, 2, 3),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Reconstruct ``[n, 1, 6, 6]``."""
        return self.decoder(self.encoder(image))


class Generator(nn.Module):
    """A latent vector viewed as an image with channels last, then convolved."""

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.fc = nn.Linear(4, 3 * 3 * 5)
        self.conv = nn.ConvTranspose2d(5, 4, 4, stride=2)
        self.pad = nn.ZeroPad2d(1)
        self.out = nn.Conv2d(4, 1, 3)

    def forward(self, latent: Tensor) -> Tensor:
        """Generate from ``[n, 4]``."""
        x = self.fc(latent).view(-1, 3, 3, 5).permute(0, 3, 1, 2)
        return self.out(torch.relu(self.conv(self.pad(x))))


class Reused(nn.Module):
    """One module used twice in a row, then once more after another."""

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.inlet = nn.Linear(4, 6)
        self.shared = nn.Linear(6, 6)
        self.between = nn.Linear(6, 6)
        self.outlet = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Inlet, shared twice, between, shared, outlet."""
        x = torch.relu(self.shared(torch.relu(self.shared(torch.relu(self.inlet(x))))))
        return self.outlet(torch.sigmoid(self.shared(torch.tanh(self.between(x)))))


class Recurrent(nn.Module):
    """A recurrent cell of two linear maps."""

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.inputs = nn.Linear(3, 5)
        self.hidden = nn.Linear(5, 5, bias=False)
        self.head = nn.Linear(5, 2)

    def forward(self, steps: Tensor) -> Tensor:
        """Run over ``[n, t, 3]``."""
        state = torch.zeros(steps.shape[0], 5, dtype=steps.dtype)
        for step in steps.unbind(1):
            state = torch.tanh(self.inputs(step) + self.hidden(state))
        return self.head(state)


class ImageAndVector(nn.Module):
    """Flattened convolutional features beside a vector: one input, two extents."""

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.vector = nn.Linear(3, 5)
        self.head = nn.Linear(4 * 4 + 5, 6)
        self.last = nn.Linear(6, 2)

    def forward(self, image: Tensor, vector: Tensor) -> Tensor:
        """Read ``[n, 1, 4, 4]`` and ``[n, 3]``."""
        parts = [torch.relu(self.conv(image)).flatten(1), torch.tanh(self.vector(vector))]
        return self.last(torch.relu(self.head(torch.cat(parts, dim=1))))
