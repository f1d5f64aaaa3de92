"""The conditional VAE."""

from typing import Any

import keras
from keras import ops

from zoo.likelihoods import Likelihood
from zoo.models.vae import VAE
from zoo.priors import LatentPrior
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor


@keras.saving.register_keras_serializable("zoo")
class CVAE(VAE):
    """A VAE whose encoder and decoder take a label y, trained on a bound of log p(x|y).

        loss = −log p(x|z, y) + w · KL( q(z|x, y) ‖ p(z|y) )

    (Sohn et al. 2015, eq. (4).) The prior depends on y only if it is conditional; the default, as in most
    implementations, is the standard normal. The label is a class, or a vector of attributes. The encoder takes it as
    constant planes after the image's channels, and the decoder as numbers after the latents: one for each class, 1 for
    the label's and 0 for the others, or one for each attribute. `w` is `kl_weight`, as in `zoo.VAE`.

    Args:
        encoder: layer from `[B,H,W,C + n]` to `[B,2D]`, where n is `num_classes` or `num_attributes`.
        decoder: layer from `[B,D + n]` to `[B,H,W,likelihood.params_size(C)]`.
        num_classes: int >= 1, for labels that are classes; or None.
        likelihood, free_bits, seed, kl_weight: as in `zoo.VAE`.
        num_attributes: int >= 1, for labels that are that many attributes, such as the 40 of a face; or None.
        prior: a `zoo.priors.LatentPrior`, p(z) or, with the same `num_classes` or `num_attributes`, p(z|y); None for
            the standard normal.

    Call arguments:
        x: float `[B,H,W,C]` in [0, 1].
        labels: int32 `[B]`, from 0 to `num_classes` − 1; or float32 `[B,num_attributes]`. `fit` takes them as `y`.

    Raises:
        ValueError: for arguments out of range, and for labels out of range if their values are known at the call.

    Example:
        >>> encoder = zoo.networks.conv_encoder((28, 28, 1 + 10), latent_dim=16)
        >>> decoder = zoo.networks.conv_decoder((28, 28, 1), latent_dim=16 + 10)
        >>> model = zoo.CVAE(encoder, decoder, num_classes=10)
        >>> model.sample(3, seed=0, labels=[7, 7, 7])
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        num_classes: int | None = None,
        likelihood: str | Likelihood = "bernoulli",
        num_attributes: int | None = None,
        prior: LatentPrior | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, **kwargs)
        self._set_conditions(num_classes, num_attributes)
        if not self.num_conditions:
            checks.fail("num_classes", "an integer >= 1, unless num_attributes is one", None)
        self.check_settings()
        self.prior = prior

    def check_settings(self) -> None:
        super().check_settings()
        self.data_shape(self.encoder_shape)  # raises if the encoder lacks the channels of the conditions

    def data_shape(self, encoder_shape: tuple[int | None, ...] | None) -> tuple[int | None, ...] | None:
        if encoder_shape is None:
            return None
        *size, channels = encoder_shape
        if channels is not None and channels <= self.num_conditions:
            conditions = f"{self.num_conditions}, a channel for each {'class' if self.num_classes else 'attribute'}"
            checks.fail("encoder", f"one of images with their own channels and {conditions}", f"{channels} channels")
        return (*size, None if channels is None else channels - self.num_conditions)

    def encoder_inputs(self, x: Tensor, labels: Tensor | None) -> Tensor:
        planes = ops.reshape(self.condition(labels), (-1, *[1] * (len(x.shape) - 2), self.num_conditions))
        return ops.concatenate([x, ops.ones_like(x[..., :1]) * planes], axis=-1)

    def decoder_inputs(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return ops.concatenate([z, self.condition(labels)], axis=-1)

    def get_config(self) -> Config:
        return {**super().get_config(), "num_classes": self.num_classes, "num_attributes": self.num_attributes}
