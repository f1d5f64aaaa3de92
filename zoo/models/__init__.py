"""The models of the zoo."""

from zoo.models.beta_vae import BetaVAE
from zoo.models.cvae import CVAE
from zoo.models.hierarchical_vae import HierarchicalVAE
from zoo.models.vae import VAE
from zoo.models.vq_vae import VQVAE

__all__ = ["VAE", "BetaVAE", "CVAE", "HierarchicalVAE", "VQVAE"]
