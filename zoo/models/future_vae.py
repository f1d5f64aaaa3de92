"""The conditional VAE of the next frames of a clip."""

from typing import Any

import keras
from keras import ops

from zoo.fitting import inputs, phase
from zoo.likelihoods import Likelihood
from zoo.models._given import GivenVAE
from zoo.priors import LatentPrior
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor


@keras.saving.register_keras_serializable("zoo")
class FutureVAE(GivenVAE):
    """A CVAE of the next frames x of a clip, given its past frames y as labels.

        loss = −log p(x|z, y) + w · KL( q(z|x, y) ‖ p(z|y) )

    (Sohn et al. 2015, eq. (4); Denton & Fergus 2018, "Stochastic Video Generation with a Learned Prior", eq. (1), which
    has one z for each frame; deviation: here one z stands for all of the future.) z holds the information that the past
    leaves open: draws of z give several futures of one past. The default prior is the standard normal;
    `zoo.priors.ConditionalGaussian` depends on the past.

    The past frames are the `labels` of every method, and of the exported signatures.

    Args:
        encoder: layer from the whole clip `[B,P + F,H,W,C]` to `[B,2D]`.
        decoder: layer from `[B,h,w,n + D]`, features of the past beside z at each place, to
            `[B,F,H,W,likelihood.params_size(C)]`; or from `[B,n + D]`, if `past` gives a vector.
        past: keras model from past frames `[B,P,H,W,C]` to features `[B,h,w,n]` or `[B,n]`.
        likelihood, free_bits, seed, kl_weight: as in `zoo.VAE`.
        prior: a `zoo.priors.LatentPrior`, p(z) or p(z|y); None for the standard normal.

    Call arguments:
        x: float `[B,F,H,W,C]` in [0, 1], the next frames.
        labels: float32 `[B,P,H,W,C]`, the past frames. `fit` takes them as `y`.

    Returns:
        reconstructions of the next frames, float32 `[B,F,H,W,C]`.

    Raises:
        ValueError: for arguments out of range, networks that do not fit each other, and frames of another shape.

    Example:
        >>> past = zoo.networks.clip_features((4, 32, 32, 1), features=32)
        >>> encoder = zoo.networks.clip_encoder((10, 32, 32, 1), latent_dim=16)
        >>> decoder = zoo.networks.clip_decoder((8, 8, 32 + 16), (6, 32, 32, 1))
        >>> prior = zoo.priors.ConditionalGaussian(zoo.networks.clip_encoder((4, 32, 32, 1), latent_dim=16))
        >>> model = zoo.FutureVAE(encoder, decoder, past, prior=prior)
        >>> model.compile("adam")
        >>> model.fit(clips[:, 4:], clips[:, :4], epochs=20)
        >>> model.sample(3, seed=0, labels=np.repeat(clips[:1, :4], 3, axis=0)).shape  # three futures of one past
        TensorShape([3, 6, 32, 32, 1])
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        past: keras.Model,
        likelihood: str | Likelihood = "bernoulli",
        prior: LatentPrior | None = None,
        **kwargs: Any,
    ) -> None:
        taken, given = (getattr(past, name, None) for name in ("input_shape", "output_shape"))
        if not isinstance(taken, tuple) or len(taken) < 3 or not isinstance(given, tuple) or len(given) not in (2, 4):
            checks.fail("past", "a keras model from [B, P, …] to [B, n] or [B, h, w, n]", past)
        whole = getattr(encoder, "input_shape", None)
        if isinstance(whole, tuple) and not _continues(tuple(whole[1:]), taken[1:]):
            expected = f"one of clips of more than {taken[1]} frames {taken[2:]}, as `past` takes these"
            checks.fail("encoder", expected, f"one of inputs {tuple(whole[1:])}")
        super().__init__(encoder, decoder, taken[1:], likelihood, prior, **kwargs)
        self.past = past

    @property
    def past_shape(self) -> tuple[int, ...]:
        """(P, H, W, C)."""
        return self._given_shape

    def data_shape(self, encoder_shape: tuple[int | None, ...] | None) -> tuple[int | None, ...] | None:
        if encoder_shape is None:
            return None
        frames, *rest = encoder_shape
        return (None if frames is None else frames - self.past_shape[0], *rest)

    def encoder_inputs(self, x: Tensor, labels: Tensor | None) -> Tensor:
        return ops.concatenate([labels, x], axis=1)

    def decoder_inputs(self, z: Tensor, labels: Tensor | None) -> Tensor:
        features = ops.cast(phase.run(self.past, labels), "float32")
        if len(features.shape) == 4:  # z at each place of the grid
            z = ops.ones_like(features[..., :1]) * ops.reshape(z, (-1, 1, 1, z.shape[-1]))
        return ops.concatenate([features, z], axis=-1)

    def get_config(self) -> Config:
        return {**super().get_config(), "past": keras.saving.serialize_keras_object(self.past)}


def _continues(clip, past):
    """Whether a clip (T, H, W, C) holds past frames (P, H, W, C) and others; None, an unknown size, agrees with any."""
    longer = None in (clip[0], past[0]) or clip[0] > past[0]
    return longer and len(clip) == len(past) and all(map(inputs.same_size, clip[1:], past[1:]))
