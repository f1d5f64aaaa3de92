"""A normalising flow as a prior."""

from typing import Any

import keras
from keras import layers, ops

from zoo import distributions, random
from zoo.priors.latents._base import LearnedPrior
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor

_LARGEST = 2.0  # bound of a coupling's log-scale


class Coupling(layers.Layer):
    """An affine coupling layer: a network of one part of a row scales and shifts the other part.

        y_a = x_a,   y_b = x_b · exp(s(x_a)) + t(x_a),   log |det ∂y/∂x| = Σ s(x_a)

    (Dinh et al. 2017, eqs. (4) to (8); the parts are the two ends of a row, where the paper's masks, eq. (9), choose
    pixels or channels.) The log-scale s is the network's output r bounded as 2 tanh(r/2): within (−2, 2), and about r
    near 0. The last layer is initially zero, which makes the coupling the identity.

    Example, `[B,5]` with `first=True`: the last 3 numbers stay, and the network maps them to 2 log-scales and 2
    translations of the first 2. With `first=False` the first 2 stay.

    Args:
        width: int >= 2, D, numbers in a row.
        first: bool, whether the first D // 2 numbers are transformed, or the others.
        hidden: int >= 1, units of each of the network's two hidden layers.
        conditions: int >= 0, numbers that the network takes beside x_a.
        seed: int or None, of the initial weights.
    """

    def __init__(self, width: int, first: bool, hidden: int, conditions: int, seed: int | None, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.half, self.first = width // 2, first
        moved = self.half if first else width - self.half
        self.layers = []
        size = width - moved + conditions
        for number, units in enumerate((hidden, hidden, 2 * moved)):
            kernel = keras.initializers.HeNormal(None if seed is None else int(random.fold_in(seed, number)) % 2**31)
            last = number == 2
            layer = layers.Dense(
                units, None if last else "relu", kernel_initializer="zeros" if last else kernel, dtype="float32"
            )
            layer.build((None, size))
            self.layers.append(layer)
            size = units
        self.built = True

    def call(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Transforms rows: `[B,D]` to y `[B,D]` and the log-determinant `[B]`."""
        kept, moved = self._parts(x)
        log_scale, shift = self._scale_and_shift(kept, condition)
        return self._row(kept, moved * ops.exp(log_scale) + shift), ops.sum(log_scale, axis=1)

    def inverse(self, y: Tensor, condition: Tensor | None = None) -> Tensor:
        """Inverts `call`: y `[B,D]` to x `[B,D]`."""
        kept, moved = self._parts(y)
        log_scale, shift = self._scale_and_shift(kept, condition)
        return self._row(kept, (moved - shift) * ops.exp(-log_scale))

    def _parts(self, row):
        """The part of a row that stays, and the part that is transformed."""
        low, high = row[:, : self.half], row[:, self.half :]
        return (high, low) if self.first else (low, high)

    def _row(self, kept, moved):
        return ops.concatenate([moved, kept] if self.first else [kept, moved], axis=1)

    def _scale_and_shift(self, x, condition):
        if condition is not None:
            x = ops.concatenate([x, condition], axis=1)
        for layer in self.layers:
            x = layer(x)
        log_scale, shift = ops.split(x, 2, axis=1)
        return _LARGEST * ops.tanh(log_scale / _LARGEST), shift


@keras.saving.register_keras_serializable("zoo")
class Flow(LearnedPrior):
    """RealNVP: a density over latents, which a chain of invertible couplings maps to the standard normal.

        u = f(z),   log p(z) = log N(u; 0, I) + log |det ∂f/∂z|,   f = f_n ∘ … ∘ f_1

    (Dinh et al. 2017, eqs. (2) and (3); `Coupling` has the layers. Chen et al. 2017, "Variational Lossy Autoencoder",
    for a flow as the prior of a VAE.) The couplings transform the two halves of z alternately. The flow starts as the
    standard normal. The KL has no closed form: it is an estimate at one sample.

    A sample is z = f⁻¹(temperature · ε) with ε ~ N(0, I): the temperature multiplies the standard deviation of u. At
    temperature 0 every sample is the point f⁻¹(0), which need not be the mean of z.

    Args:
        latent_dim: int >= 2, D.
        couplings: int >= 1, n.
        hidden: int >= 1, units of each of the two hidden layers of a coupling's network.
        num_classes: int >= 1, for a prior p(z|y) whose labels are classes; or None.
        num_attributes: int >= 1, for one whose labels are that many attributes; or None. The networks take labels
            beside their part of z.
        seed: int or None, of the initial weights, and of the samples of z in `fit`.

    Call arguments:
        z: float32 `[B,D]`.
        labels: int32 `[B]` or float32 `[B,num_attributes]`, for a conditional prior.

    Returns:
        log p(z), float32 `[B]`, nats.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> prior = zoo.priors.Flow(latent_dim=16)
        >>> model = zoo.VAE(encoder, decoder, prior=prior)
    """

    def __init__(
        self,
        latent_dim: int,
        couplings: int = 8,
        hidden: int = 256,
        num_classes: int | None = None,
        num_attributes: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, num_classes, num_attributes, seed, **kwargs)
        if self.latent_dim < 2:
            checks.fail("latent_dim", "an integer >= 2, as a coupling splits latents into two parts", latent_dim)
        self.couplings = checks.positive_int("couplings", couplings)
        self.hidden = checks.positive_int("hidden", hidden)
        self.chain = [
            Coupling(
                self.latent_dim, number % 2 == 1, self.hidden, self.num_conditions,
                None if self.seed is None else int(random.fold_in(self.seed, number)), name=f"coupling_{number}",
            )
            for number in range(self.couplings)
        ]  # fmt: skip
        self.built = True

    def log_density(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        u, log_determinant = self.normalize(z, labels)
        return distributions.normal_log_prob(u, 0.0, ops.zeros_like(u)) + log_determinant

    def normalize(self, z: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """u = f(z) `[B,D]`, and log |det ∂f/∂z| `[B]`."""
        condition = None if labels is None else self.condition(labels)
        total = 0.0
        for coupling in self.chain:
            z, log_determinant = coupling(z, condition)
            total = total + log_determinant
        return z, total

    def invert(self, u: Tensor, labels: Tensor | None = None) -> Tensor:
        """z = f⁻¹(u), `[B,D]`."""
        condition = None if labels is None else self.condition(labels)
        for coupling in reversed(self.chain):
            u = coupling.inverse(u, condition)
        return u

    def draw(self, seeds: Tensor, temperature: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.invert(random.normal(seeds, (self.latent_dim,)) * ops.expand_dims(temperature, 1), labels)

    def get_config(self) -> Config:
        return {**super().get_config(), "couplings": self.couplings, "hidden": self.hidden}
