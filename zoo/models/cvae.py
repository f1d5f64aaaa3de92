"""The conditional VAE."""

import keras
from keras import ops

from zoo.models.vae import VAE
from zoo.runtime import checks


@keras.saving.register_keras_serializable("zoo")
class CVAE(VAE):
    """A VAE whose encoder and decoder are told the label: a bound of log p(x|y).

        loss = −log p(x|z, y) + KL( q(z|x, y) ‖ p(z) )

    (Sohn et al. 2015, eq. (4); deviation: the prior does not depend on y.) The label reaches the encoder as one
    constant plane for each class beside the image's channels, and the decoder as a one-hot vector behind the latents.

    Args:
        encoder: layer from `[B,H,W,C + num_classes]` to `[B,2D]`.
        decoder: layer from `[B,D + num_classes]` to `[B,H,W,likelihood.params_size(C)]`.
        num_classes: int >= 1.
        likelihood, free_bits, seed: as in `zoo.VAE`.

    Call arguments:
        x: float `[B,H,W,C]` in [0, 1].
        labels: int32 `[B]`, from 0 to `num_classes` − 1. `fit` takes them as `y`.

    Raises:
        ValueError: for arguments out of range, labels among them where they can be read.

    Example:
        >>> encoder = zoo.networks.conv_encoder((28, 28, 1 + 10), latent_dim=16)
        >>> decoder = zoo.networks.conv_decoder((28, 28, 1), latent_dim=16 + 10)
        >>> model = zoo.CVAE(encoder, decoder, num_classes=10)
        >>> model.sample(3, seed=0, labels=[7, 7, 7])
    """

    def __init__(self, encoder, decoder, num_classes, likelihood="bernoulli", **kwargs):
        super().__init__(encoder, decoder, likelihood, **kwargs)
        self.num_classes = checks.positive_int("num_classes", num_classes)

    def data_shape(self, encoder_shape):
        if encoder_shape is None:
            return None
        *size, channels = encoder_shape
        return (*size, None if channels is None else channels - self.num_classes)

    def encoder_inputs(self, x, labels):
        planes = ops.reshape(self._one_hot(labels), (-1, *[1] * (len(x.shape) - 2), self.num_classes))
        return ops.concatenate([x, ops.ones_like(x[..., :1]) * planes], axis=-1)

    def decoder_inputs(self, z, labels):
        return ops.concatenate([z, self._one_hot(labels)], axis=-1)

    def _one_hot(self, labels):
        return ops.one_hot(labels, self.num_classes, dtype="float32")

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}
