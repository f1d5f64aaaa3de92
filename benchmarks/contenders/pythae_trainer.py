"""Pythae with networks of one's own, trained by its own trainer; what it does once an epoch is not timed."""

import logging
import tempfile

import torch
import torch_models
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig


class Encoder(BaseEncoder):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        mean, log_var = self.network(x).chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_var)


class Decoder(BaseDecoder):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, z):
        return ModelOutput(reconstruction=torch.sigmoid(self.network(z)))


def start(model, precision, images, batch_size, threads):
    torch.set_num_threads(threads)
    logging.disable(logging.INFO)
    networks = torch_models.build(model)
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=20, reconstruction_loss="bce")
    vae = VAE(config, encoder=Encoder(networks.encoder), decoder=Decoder(networks.decoder))
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255)
    dataset = BaseDataset(pixels, torch.zeros(len(pixels)))
    settings = BaseTrainerConfig(
        tempfile.mkdtemp(), per_device_train_batch_size=batch_size, learning_rate=1e-3, no_cuda=True
    )
    trainer = BaseTrainer(vae, dataset, training_config=settings)
    trainer.prepare_training()

    def run(steps):
        rows = torch.randperm(len(pixels))[: steps * batch_size]
        trainer.train_loader = trainer.get_train_dataloader(BaseDataset(pixels[rows], torch.zeros(len(rows))))
        epochs = steps // len(trainer.train_loader)
        return sum(trainer.train_step(epoch) for epoch in range(1, epochs + 1)) / epochs

    return torch_models.count(vae), run
