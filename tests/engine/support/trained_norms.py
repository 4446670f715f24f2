"""Networks with norms whose statistics and factors look trained."""

import torch
from torch import nn

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def is_rms_norm(module):
    return type(module).__name__.endswith(("RMSNorm", "T5LayerNorm"))


def trained(model):
    """Statistics and factors as training might leave them, signs included; all shifts are 0."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    for module in model.modules():
        norm = isinstance(module, (*BATCH_NORMS, nn.LayerNorm)) or is_rms_norm(module)
        if norm and module.weight is not None:
            nn.init.normal_(module.weight)
        if isinstance(module, BATCH_NORMS) and module.track_running_stats:
            nn.init.uniform_(module.running_var, 0.3, 3)
    return model.double().eval()


class PreActivation(nn.Module):
    """Residual blocks with norm and activation in front, and a pooled head."""

    def __init__(self, activation):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(nn.BatchNorm2d(4), activation(), nn.Conv2d(4, 5, 3, padding=1)),
                *(nn.BatchNorm2d(5), activation(), nn.Conv2d(5, 4, 3, padding=1)),
            )
            for _ in range(2)
        )
        self.norm, self.activation, self.head = nn.BatchNorm2d(4), activation(), nn.Linear(4, 3)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.activation(self.norm(x)).mean((2, 3)))


IMAGE = (3, 8, 8)


class Joined(nn.Module):
    """A layer norm of two maps' channels side by side."""

    def __init__(self, norm):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 3), nn.Linear(4, 5), nn.Linear(8, 2)
        self.norm = norm

    def forward(self, x):
        return self.c(self.norm(torch.cat([self.a(x), self.b(x)], -1)))


def conv_chain(*between):
    return nn.Sequential(nn.Conv2d(3, 4, 3), *between, nn.Conv2d(4, 2, 3))
