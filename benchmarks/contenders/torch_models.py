"""The networks of `ours.py` in PyTorch, layer by layer, and the losses; weights begin as Keras's do.

Images are float32 `[B,C,H,W]`. A model gives the sum of its losses over the batch, nats.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.second = nn.Conv2d(channels // 2, channels, 1, bias=False)

    def forward(self, x):
        return x + self.second(F.relu(self.first(F.relu(x))))


def mlp_vae():
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40))
    decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784), nn.Unflatten(1, (1, 28, 28)))
    return VAE(encoder, decoder)


def conv_vae():
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), Residual(32),
        nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(), Residual(64),
        nn.Flatten(), nn.Linear(7 * 7 * 64, 256), nn.ReLU(), nn.Linear(256, 64),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 7 * 7 * 64), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)),
        Residual(64), nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
        Residual(32), nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU(),
        Residual(32), nn.Conv2d(32, 1, 3, padding=1),
    )  # fmt: skip
    return VAE(encoder, decoder)


def vq_vae():
    encoder = nn.Sequential(
        nn.Conv2d(3, 64, 4, 2, 1), Residual(64), Residual(64), nn.ReLU(),
        nn.Conv2d(64, 128, 4, 2, 1), Residual(128), Residual(128), nn.ReLU(),
        nn.Conv2d(128, 64, 1),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Conv2d(64, 128, 3, padding=1), Residual(128), Residual(128), nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1), Residual(64), Residual(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 3, 4, 2, 1),
    )  # fmt: skip
    return VQVAE(encoder, decoder)


class VAE(nn.Module):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x):
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        reconstruction = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        return reconstruction - 0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())


class VQVAE(nn.Module):
    """512 codes of 64 numbers that follow moving averages, begun with vectors of the first batch; none is revived."""

    def __init__(self, encoder, decoder, scale=0.178, commitment_cost=0.19, decay=0.99):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.scale, self.commitment_cost, self.decay = scale, commitment_cost, decay
        self.register_buffer("embeddings", torch.zeros(512, 64))
        self.register_buffer("counts", torch.zeros(512))
        self.register_buffer("sums", torch.zeros(512, 64))

    @torch.no_grad()
    def begin(self, x):
        vectors = self.encoder(x).permute(0, 2, 3, 1).reshape(-1, 64)
        self.embeddings.copy_(vectors[torch.randperm(len(vectors))[:512]])
        self.counts.fill_(len(vectors) / 512)
        self.sums.copy_(self.embeddings * self.counts[:, None])

    def forward(self, x):
        z_e = self.encoder(x).float().permute(0, 2, 3, 1)
        vectors = z_e.reshape(-1, 64)
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            distances = self.embeddings.square().sum(1) - 2 * vectors @ self.embeddings.t()
            codes = distances.argmin(1)
            z_q = self.embeddings[codes].view_as(z_e)
            assigned = F.one_hot(codes, 512).float()
            self.counts.lerp_(assigned.sum(0), 1 - self.decay)
            self.sums.lerp_(assigned.t() @ vectors, 1 - self.decay)
            self.embeddings.copy_(self.sums / self.counts.clamp(min=1e-20)[:, None])
        commitment = (z_e - z_q).square().sum()
        mean = self.decoder((z_e + (z_q - z_e).detach()).permute(0, 3, 1, 2)).float() + 0.5
        variance = self.scale**2
        constant = 0.5 * math.log(2 * math.pi * variance) * x.numel()
        return (x - mean).square().sum() / (2 * variance) + constant + self.commitment_cost * commitment


MODELS = {"mlp_vae": mlp_vae, "conv_vae": conv_vae, "vq_vae": vq_vae}


def build(name):
    torch.manual_seed(0)
    model = MODELS[name]()
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())
