"""The models of the zoo."""

from zoo.models.beta_tc_vae import BetaTCVAE
from zoo.models.beta_vae import BetaVAE
from zoo.models.cvae import CVAE
from zoo.models.factor_vae import FactorVAE
from zoo.models.future_vae import FutureVAE
from zoo.models.hierarchical_vae import HierarchicalVAE
from zoo.models.info_vae import InfoVAE
from zoo.models.iwae import IWAE
from zoo.models.sharpening import Sharpening
from zoo.models.text_vae import TextVAE
from zoo.models.vae import VAE
from zoo.models.vaeac import VAEAC
from zoo.models.vq_vae import VQVAE

__all__ = [
    "BetaTCVAE",
    "BetaVAE",
    "CVAE",
    "FactorVAE",
    "FutureVAE",
    "HierarchicalVAE",
    "IWAE",
    "InfoVAE",
    "Sharpening",
    "TextVAE",
    "VAE",
    "VAEAC",
    "VQVAE",
]
