"""The protocol of priors over latents."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from zoo import distributions, layers
from zoo.fitting import inputs
from zoo.fitting.batched import batched
from zoo.fitting.model import ObjectiveModel
from zoo.runtime import checks
from zoo.runtime.settings import Fixed
from zoo.runtime.types import Array, ArrayLike, Batches, Config, Labels, Seeds, Tensor, Tensors


class LatentPrior(Fixed, ObjectiveModel):
    """Base class of the priors p(z) over latents `[B,D]`.

    A prior defines `log_density` and `draw`, and `kl` if it has a closed form. `zoo.VAE(…, prior=prior)` trains it with
    the model; with `prior.trainable = False` its weights stay fixed. A network that a prior calls runs in inference;
    `zoo.fitting.phase.run(network, labels)` runs it as the step asks for, with dropout in training.

    Args:
        latent_dim: int >= 1, D.
        num_classes: int >= 1, for a prior p(z|y) of a `zoo.CVAE` whose labels are classes; or None.
        num_attributes: int >= 1, for one whose labels are that many attributes; or None.

    Raises:
        ValueError: for arguments out of range.
    """

    data_argument = "z"
    reconstructs = False

    def __init__(
        self, latent_dim: int, num_classes: int | None = None, num_attributes: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.latent_dim = checks.positive_int("latent_dim", latent_dim)
        self._set_conditions(num_classes, num_attributes)

    # A prior defines these.

    def log_density(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p(z), or log p(z|labels): float32 `[B,D]` to `[B]`, nats. `log_prob` also checks its arguments."""
        raise NotImplementedError

    def draw(self, seeds: Tensor, temperature: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples one row of latents for each seed.

        Args:
            seeds: int32 `[B]`. A row must depend on its own seed alone (`zoo.random`), and be computed with TFLite's
                built-in operators; otherwise the model cannot be exported.
            temperature: float32 `[B]`, >= 0; multiplies a standard deviation.
            labels: as in `log_density`.

        Returns:
            float32 `[B,D]`.
        """
        raise NotImplementedError

    def kl(self, mean: Tensor, log_var: Tensor, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """KL( q(z|x) ‖ p(z) ) of a diagonal Gaussian posterior.

        Without a closed form it is the estimate log q(z|x) − log p(z) at one sample; the mean of the estimate is the
        KL.

        Args:
            mean, log_var: float32 `[B,D]`, of the posterior.
            z: float32 `[B,D]`, a sample of it.
            labels: as in `log_density`.

        Returns:
            float32 `[B,G]`, nats, whose sum over G is the KL: G is D if the prior's dimensions are independent, and 1
            otherwise.
        """
        log_ratio = distributions.normal_log_prob(z, mean, log_var) - self._log_density(z, labels)
        return ops.expand_dims(log_ratio, 1)

    def density(self, labels: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        """log p(z|labels) as a function of z alone. Over several calls, parts that do not depend on z run once."""
        return lambda z: self._log_density(z, labels)

    def _log_density(self, z, labels):
        log_density = self.log_density(z, labels)
        checks.per_example(f"log_density of {type(self).__name__}", log_density, z.shape[0])
        return log_density

    def attach(self, model: keras.Model) -> None:
        """Called when the prior becomes `model.prior`, for a prior that needs the model's networks."""

    # The rest follows from them.

    @batched
    def log_prob(self, z: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """log p(z), or log p(z|labels) for a conditional prior.

        Args:
            z: float `[B,D]`.
            labels: int32 `[B]` classes, or float32 `[B,d]` attributes, for a conditional prior.
            batch_size: int >= 1, rows at once; None for a number that suits their size.

        Returns:
            float32 `[B]`, nats.

        Raises:
            ValueError: for an argument of another kind, shape or range.
        """
        return self._log_density(*self._inputs(z, labels))

    def sample(self, num_samples: int, seed: Seeds = None, temperature: float = 1.0, labels: Labels = None) -> Tensor:
        """Samples latents; the arguments are those of `zoo.VAE.sample`. Returns float32 `[num_samples,D]`."""
        labels = self._cast_labels(self._check_labels(labels, num_samples))
        return self.draw(*self._rows(num_samples, seed, temperature), labels)

    def call(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.log_density(z, labels)

    # Inputs.

    @property
    def example_shape(self) -> tuple[int, ...]:
        return (self.latent_dim,)

    def _check_data(self, name, x):
        z = inputs.array("z", x)
        inputs.require_floating("z", z)
        if len(z.shape) != 2 or z.shape[1] != self.latent_dim:
            checks.fail("z", f"of shape [B, {self.latent_dim}]", f"shape {tuple(z.shape)}")
        return z

    def _inputs(self, x, labels=None):
        z = ops.cast(ops.convert_to_tensor(self._check_data("z", x)), "float32")
        return z, self._cast_labels(self._check_labels(labels, z.shape[0]))

    def _values(self, batch, judged=True):
        if batch.target is not None:
            checks.fail("y", "labels, as latents are their own target", f"shape {tuple(batch.target.shape)}")
        return [*self.values_of("z", batch.x), *super()._values(batch, judged)]

    def values_of(self, name: str, value: Array | None) -> list[inputs.Values]:
        return [inputs.Values("z", value)] if name == "z" else super().values_of(name, value)

    def get_config(self) -> Config:
        names = ("latent_dim", "num_classes", "num_attributes")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class LearnedPrior(LatentPrior):
    """A prior with weights, trained with a model, or by its own `fit` on the latents of a trained model.

        loss = −log p(z),   z ~ q(z|x)

    The p that minimises the loss is the average of the posteriors (Tomczak & Welling 2018, eq. (8)).

    Args:
        latent_dim, num_classes, num_attributes: as in `LatentPrior`.
        seed: int or None, of the initial weights, and of the samples of z in `fit`.

    Example:
        >>> prior = zoo.priors.MixtureOfGaussians(latent_dim=16, components=8, seed=0)
        >>> prior.compile("adam")
        >>> history = prior.fit(model.encode(images), epochs=20, verbose=0)
        >>> model.prior = prior
    """

    term_names = ("loss",)

    def __init__(
        self,
        latent_dim: int,
        num_classes: int | None = None,
        num_attributes: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, num_classes, num_attributes, **kwargs)
        self.seed = checks.seed("seed", seed)
        self.sampling = layers.Sampling(seed, dtype="float32")

    def compute_terms(
        self, x: Tensor, labels: Tensor | None = None, training: bool = False, target: Tensor | None = None
    ) -> Tensors:
        """Computes the term `loss`, −log p(z), float32 `[B]`, nats.

        `x` is z `[B,D]`; or means beside log-variances, `[B,2D]`, from which z is sampled.
        """
        if x.shape[-1] == 2 * self.latent_dim:
            x = self.sampling(*ops.split(x, 2, axis=-1))
        return {"loss": -self.log_density(x, labels)}

    def _roles(self, x, y):
        if isinstance(x, dict) and set(x) == {"mean", "log_var"}:  # as `encode` returns them
            x = _side_by_side(x["mean"], x["log_var"])
        return super()._roles(x, y)

    def _check_data(self, name, x):
        z = inputs.array("z", x)
        if name == "x" and len(z.shape) == 2 and z.shape[1] == 2 * self.latent_dim:
            inputs.require_floating("z", z)
            return z
        return super()._check_data(name, x)

    def _inputs(self, x, labels=None):
        return ops.cast(ops.convert_to_tensor(x), "float32"), self._cast_labels(self._check_labels(labels, x.shape[0]))

    def get_config(self) -> Config:
        return {**super().get_config(), "seed": self.seed}


def _side_by_side(mean, log_var):
    """Joins means and log-variances `[B,D]`, or the specs of both, into one `[B,2D]`."""
    mean, log_var = inputs.array("mean", mean), inputs.array("log_var", log_var)
    if len(mean.shape) != 2 or tuple(mean.shape)[1:] != tuple(log_var.shape)[1:]:
        checks.fail("log_var", f"of the shape of the means, [B, D], {tuple(mean.shape)}", tuple(log_var.shape))
    if isinstance(mean, tf.TensorSpec):
        return tf.TensorSpec((mean.shape[0], 2 * mean.shape[1]), mean.dtype)
    return ops.concatenate([mean, log_var], axis=-1)


def require(prior: object) -> LatentPrior:
    """Returns `prior`; raises ValueError that names a method it lacks."""
    return checks.implements("prior", prior, LatentPrior, ("log_density", "draw"))
