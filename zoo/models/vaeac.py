"""The VAE with arbitrary conditioning, which fills in missing values."""

import functools
import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from zoo import random
from zoo.fitting import inputs
from zoo.fitting.batched import batched
from zoo.layers import RandomMasks
from zoo.likelihoods import Likelihood, Masked
from zoo.models._given import GivenVAE
from zoo.models._sub_batched import sub_batched
from zoo.priors import LatentPrior
from zoo.runtime import checks
from zoo.runtime.settings import Setting
from zoo.runtime.types import Array, ArrayLike, Batches, Config, Labels, Tensor, Tensors

_MASKS = 0x3A5C  # the stream of the masks, from the model's seed


@keras.saving.register_keras_serializable("zoo")
class VAEAC(GivenVAE):
    """A VAE of the missing values given the observed ones, for any mask m (1 observed, 0 missing).

        loss = α · [ −log p(x_mis|z, x_obs, m) + w · KL( q(z|x, m) ‖ p(z|x_obs, m) ) ]
               − (1 − α) · log p(x_mis|z', x_obs, m),   z ~ q(z|x, m),   z' ~ p(z|x_obs, m)
        elbo = log p(x_mis|z, x_obs, m) − KL, a bound of log p(x_mis|x_obs, m), in nats an example

    (Ivanov, Figurnov & Vetrov 2019, "Variational Autoencoder with Arbitrary Conditioning", sections 4.2 and 4.3.) The
    decoder sees the observed values: z holds the information that they leave open. The term with 1 − α trains the
    decoder on z from the prior, which imputation decodes: it is the Gaussian stochastic network of Sohn et al. 2015,
    and the sum of both terms their hybrid objective. `elbo` depends on neither α nor w. Deviations:

    - The decoder has a path of its own from the observed values, in the place of skip connections from the prior
      network. The prior can therefore be any `zoo.priors.LatentPrior`.
    - No hyperprior keeps μ and σ of p(z|x_obs, m) finite (section 4.3.2): `zoo.distributions.bound_log_var` bounds σ.
    - Training data must be complete (section 4.3.3 trains on incomplete data).

    The observed values beside their mask, `zoo.likelihoods.Masked.beside(x, m)`, are the `labels` of the methods.
    Without labels, `fit(x)` and `evaluate(x)` draw masks from `masks`, and for all other methods nothing is observed:
    `sample` makes whole images, and `log_prob` is a bound of log p(x). `decode` and `sample` return the observed values
    unchanged. `zoo.applications.impute` takes `x` and the mask apart.

    Args:
        encoder: keras model from the values beside the mask, `[B,…,2C]`, to `[B,2D]`.
        decoder: layer from `[B,n + D]` to `[B,…,likelihood.params_size(C)]`. The n numbers are the observed values
            beside their mask, flattened; D latents follow. `zoo.networks.unet_decoder` is one.
        likelihood: a `zoo.likelihoods.Likelihood` or its name, except one whose scale follows the batch. Only missing
            values count. If it couples the channels of a place, all or none of them must be missing.
        prior: a `zoo.priors.LatentPrior`: `ConditionalGaussian` over a network from `[B,…,2C]` for the model of the
            paper; None for the standard normal.
        alpha: float > 0 and <= 1, α.
        masks: layer from data `[B,…,C]` to masks that broadcast to them, bool, or numbers of which those above 0.5 mean
            observed; None for `zoo.layers.RandomMasks`, of images.
        free_bits, seed, kl_weight: as in `zoo.VAE`. `seed` seeds the default masks too.

    Call arguments:
        x: float `[B,…,C]` within the likelihood's support, complete.
        labels: float32 `[B,…,2C]`, or None. `fit` takes them as `y`.

    Returns:
        reconstructions, float32 `[B,…,C]`.

    Raises:
        ValueError: for arguments out of range, and for data of another structure, type, shape or range.

    Example:
        >>> encoder = zoo.networks.conv_encoder((28, 28, 2), latent_dim=16)
        >>> prior = zoo.priors.ConditionalGaussian(zoo.networks.conv_encoder((28, 28, 2), latent_dim=16))
        >>> decoder = zoo.networks.unet_decoder((28, 28, 1), latent_dim=16)
        >>> model = zoo.VAEAC(encoder, decoder, prior=prior)
        >>> model.compile("adam")
        >>> model.fit(images, epochs=10)
        >>> mask = np.ones((28, 28, 1))
        >>> mask[:, 14:] = 0
        >>> zoo.applications.impute(model, images[:8], mask, num_draws=3).shape
        (3, 8, 28, 28, 1)
    """

    alpha = Setting(checks.number, 0.0, 1.0, open_low=True)

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.layers.Layer,
        likelihood: str | Likelihood = "bernoulli",
        prior: LatentPrior | None = None,
        alpha: float = 1.0,
        masks: keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        shape = getattr(encoder, "input_shape", None)
        if not isinstance(shape, tuple) or None in shape[1:] or shape[-1] % 2:
            checks.fail("encoder", "a keras model from [B, …, 2·C], values beside their mask", encoder)
        super().__init__(encoder, decoder, shape[1:], likelihood, prior, **kwargs)
        self.check_settings()
        self.alpha = alpha
        if masks is not None and not isinstance(masks, keras.layers.Layer):
            checks.fail("masks", "a keras layer from data to masks, or None", masks)
        if masks is None:
            masks = RandomMasks(seed=None if self.seed is None else int(random.fold_in(self.seed, _MASKS)))
        self.masks = masks
        self.trackers.pop("bits_per_dim", None)  # the number of missing values differs

    def check_settings(self) -> None:
        super().check_settings()
        if isinstance(self.likelihood, Masked) or getattr(self.likelihood, "scale", None) == "optimal":
            checks.fail("likelihood", "one of the values, whose scale does not follow the batch", self.likelihood)

    # The objective.

    def compute_terms(
        self, x: Tensor, labels: Tensor | None = None, training: bool = False, target: Tensor | None = None
    ) -> Tensors:
        if labels is None:
            labels = Masked.beside(x, self._drawn_mask(x))
        terms = super().compute_terms(x, labels, training)
        terms.pop("bits_per_dim", None)
        if self.alpha == 1.0:
            return terms
        seeds = self.sampling.draw(_seeds, (ops.shape(x)[0],))
        z = self.latents(seeds, ops.ones_like(seeds, "float32"), labels)
        from_prior = self.log_likelihood(x, self.decoder_inputs(z, labels), training=training)
        return terms | {"loss": self.alpha * terms["loss"] - (1.0 - self.alpha) * from_prior}

    def _drawn_mask(self, x):
        if isinstance(self.masks, RandomMasks) and len(x.shape) != 4:
            checks.fail("labels", "given, as zoo.layers.RandomMasks draws masks of images [B, H, W, C] alone", None)
        mask = ops.cast(self.masks(x), "float32") > 0.5
        return ops.all(mask, axis=-1, keepdims=True) if self.likelihood.couples_channels else mask

    @functools.partial(sub_batched, judges=True)
    def log_likelihood(self, x: Tensor, inputs: Tensor, training: bool = False) -> Tensor:
        params = self.likelihood_params(inputs, training=training)
        self.likelihood.check_params(tuple(x.shape[1:]), tuple(params.shape[1:]))
        _, mask = self.parts(inputs[:, : math.prod(self._given_shape)])
        return self.likelihood.observed_log_prob(x, params, 1.0 - mask, training)

    # The networks.

    def parts(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The observed values, and the mask: labels, flattened or not, to float32 `[B,…,C]` each."""
        return ops.split(ops.reshape(labels, (-1, *self._given_shape)), 2, axis=-1)

    def encoder_inputs(self, x: Tensor, labels: Tensor | None) -> Tensor:
        mask = ops.zeros_like(x) if labels is None else self.parts(labels)[1]
        return ops.concatenate([x, mask], axis=-1)

    def decoder_inputs(self, z: Tensor, labels: Tensor | None) -> Tensor:
        size = math.prod(self._given_shape)
        given = ops.zeros((ops.shape(z)[0], size), "float32") if labels is None else ops.reshape(labels, (-1, size))
        return ops.concatenate([given, z], axis=-1)

    def prior_labels(self, labels: Tensor | None) -> Tensor | None:
        # Where nothing is observed the prior is the same for all examples.
        return super().prior_labels(ops.zeros((1, *self._given_shape), "float32") if labels is None else labels)

    # The methods of the contract.

    @batched
    def decode(self, z: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """Latents float `[B,D]` to data: observed values unchanged, and the mean of p(x_mis|z, x_obs, m) elsewhere."""
        return self.filled(self.likelihood.mean(self.decoded(z, labels)), labels)

    @batched
    def generate(
        self,
        seeds: Tensor,
        temperature: Tensor,
        labels: Labels = None,
        batch_size: int | None = None,
        observe: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Computes `sample`: seeds int32 and temperature float32 `[B]` to data `[B,…,C]` and their latents."""
        data, z = super().generate(seeds, temperature, labels, observe=observe)
        return self.filled(data, labels), z

    @batched
    def complete(
        self, x: ArrayLike, mask: ArrayLike, seeds: ArrayLike, temperature: ArrayLike, batch_size: int | None = None
    ) -> Tensor:
        """Fills in missing values, at z ~ p(z|x_obs, m): the exported signature `impute`.

        Args:
            x: float `[B,…,C]`; missing values may be any numbers within the range of the data.
            mask: float32 `[B,…,C]`, 1 for observed and 0 for missing values.
            seeds: int32 `[B]`.
            temperature: float32 `[B]`, >= 0, multiplies the prior's standard deviation.
            batch_size: as in `sample`.

        Returns:
            float32 `[B,…,C]`, observed values unchanged and means of p(x_mis|z, x_obs, m).
        """
        return self.generate(seeds, temperature, Masked.beside(x, mask))[0]

    def filled(self, data: Tensor, labels: Labels) -> Tensor:
        """`data` with the observed values in their places."""
        if labels is None:
            return data
        values, mask = self.parts(self._cast_labels(labels))
        return ops.where(mask > 0.0, values, data)

    # The data.

    @property
    def conditional(self) -> bool:
        """False, as labels may be left out: nothing is observed then."""
        return False

    def data_shape(self, encoder_shape: tuple[int | None, ...] | None) -> tuple[int | None, ...] | None:
        if encoder_shape is None:
            return None
        *size, channels = encoder_shape
        return (*size, None if channels is None else channels // 2)

    def _roles(self, x, y):
        names = self._input_names()
        if y is None and isinstance(x, (list, tuple)) and len(x) == 2:
            x, y = x
        elif isinstance(x, dict) and "labels" in x:
            x, y = {name: value for name, value in x.items() if name != "labels"}, x["labels"]
        return inputs.single(x, names), y, None

    def _check_labels(self, labels, num_rows):
        return None if labels is None else self._check_attributes(inputs.array("labels", labels), num_rows)

    def values_of(self, name: str, value: Array | None) -> list[inputs.Values]:
        if name == "mask":
            return [inputs.ZeroOrOne("mask", value, whole=self.likelihood.couples_channels)]
        return super().values_of(name, value)

    def label_values(self, labels: Array) -> inputs.Values:
        low, high = self.likelihood.support or (-inputs.LARGEST, inputs.LARGEST)
        whole = self.likelihood.couples_channels
        return inputs.BesideMask("labels", labels, min(low, 0.0), max(high, 1.0), whole=whole)

    def get_config(self) -> Config:
        return {**super().get_config(), "alpha": self.alpha, "masks": keras.saving.serialize_keras_object(self.masks)}


def _seeds(shape, seed):
    """Seeds of all 32 bits, int32 of `shape`."""
    return tf.random.stateless_uniform(shape, seed, minval=None, maxval=None, dtype="int32")
