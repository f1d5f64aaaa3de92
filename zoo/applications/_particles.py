"""The samplers of imputation: particles z of p(z|x_obs), in a graph."""

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from keras import ops

from zoo import distributions, random
from zoo.applications._ascent import ascend
from zoo.likelihoods import Masked
from zoo.models._protocol import Proposal, observed_seeds
from zoo.runtime.types import Tensor

if TYPE_CHECKING:
    from zoo.applications._imputer import Imputer


class Particles:
    """The particles of a batch, as tensors: a sampler is a method of it.

    Args:
        settings: the `Imputer`, whose attributes are the arguments of `zoo.applications.impute`.
        x, mask: float32 `[n·K,…]`; missing values may be any finite ones.
        seeds: int32 `[n·K]`.
        labels: `[n·K]`, or None.
    """

    def __init__(
        self, settings: "Imputer", x: Tensor, mask: Tensor, seeds: Tensor, labels: Tensor | None = None
    ) -> None:
        self.settings, self.model, self.likelihood = settings, settings.model, settings.likelihood
        self.x = ops.where(mask > 0.0, x, np.asarray(self.likelihood.neutral, np.float32))
        self.mask, self.seeds = mask, seeds
        self.labels = labels

    # Parts of all samplers.

    def filled(self, missing: Tensor) -> Tensor:
        return ops.where(self.mask > 0.0, self.x, missing)

    def seen(self, filled: Tensor) -> Tensor:
        """The input of the encoder."""
        return Masked.beside(self.x, self.mask) if self.settings.masked else filled

    def observed(self, params: Tensor) -> Tensor:
        """log p(x_obs|z), `[n·K]`."""
        return self.likelihood.observed_log_prob(self.x, params, self.mask)

    def propose(self, filled: Tensor, step: Tensor | int) -> Proposal:
        return self.model.propose(self.seen(filled), random.fold_in(self.seeds, step), self.labels)

    def start(self, steps: int) -> Tensor:
        """The values after `steps` fillings with the decoder's means; missing ones are `neutral` at first."""
        if self.settings.masked:
            return self.x

        def step(t, filled):
            return self.filled(self.likelihood.mean(self.propose(filled, t).params))

        return ops.fori_loop(0, steps, step, self.x)

    def drawn(self, params: Tensor, seeds: Tensor) -> Tensor:
        """Values from p(x|z), with its noise if the settings ask for it."""
        return self.likelihood.sample(params, seeds) if self.settings.noise else self.likelihood.mean(params)

    def chosen(self, params: Tensor, log_weights: Tensor, seeds: Tensor) -> Tensor:
        """The weighted mean of an example's particles, `[n,…]`; or draws by their weights, `[num_draws,n,…]`."""
        number, draws = self.settings.particles, self.settings.num_draws
        log_weights = ops.reshape(log_weights, (-1, number))
        if draws is None:
            mean = self.likelihood.mean(params)
            if number == 1:
                return mean
            weights = ops.reshape(ops.softmax(log_weights, axis=1), (-1, number, *[1] * (len(mean.shape) - 1)))
            return ops.sum(weights * ops.reshape(mean, (-1, number, *mean.shape[1:])), axis=1)
        rows = ops.shape(log_weights)[0]
        draw = ops.repeat(ops.arange(draws, dtype="int32"), rows)  # the draws follow each other, each of n rows
        seeds = random.fold_in(ops.tile(random.fold_in(seeds, -1), [draws]), draw)
        scores = ops.tile(log_weights, [draws, 1]) + random.gumbel(seeds, (number,))
        best = tf.argmax(scores, axis=1, output_type=tf.int32)
        its_params = ops.take(params, ops.tile(ops.arange(rows, dtype="int32") * number, [draws]) + best, axis=0)
        drawn = self.drawn(its_params, random.fold_in(seeds, 1))
        return ops.reshape(drawn, (draws, -1, *drawn.shape[1:]))

    # The samplers.

    def weighted(self, seeds: Tensor) -> Tensor:
        proposal = self.propose(self.start(self.settings.steps), self.settings.steps)
        return self.chosen(proposal.params, self.observed(proposal.params) + proposal.log_ratio, seeds)

    def climbed(self, seeds: Tensor) -> Tensor:
        """Adam on log p(x_obs|z) + log p(z)."""
        mean, log_var = self.model.posterior(self.seen(self.start(1)), self.labels)
        first = distributions.reparameterize(
            mean, log_var, random.normal(random.fold_in(self.seeds, 1), mean.shape[1:])
        )
        density = self.model.prior.density(self.model.prior_labels(self.labels))

        def objective(z):
            return self.observed(self.params(z)) + density(z)

        z = ascend(objective, first, self.settings.steps)
        return self.chosen(self.params(z), objective(z), seeds)

    def chained(self, seeds: Tensor) -> Tensor:
        """The chains of "gibbs" and "metropolis": draws are the last values, a mean is that of the second half."""
        half, chains = self.settings.steps // 2, self.settings.method == "metropolis"
        move = self.moved if chains else self.proposed

        def step(t, state):
            filled, z, total, _ = state
            z, params = move(filled, z, t)
            filled = self.filled(self.likelihood.sample(params, random.fold_in(random.fold_in(self.seeds, t), 1)))
            mean = self.likelihood.mean(params)
            return filled, z, total + ops.where(t < half, 0.0, mean), filled if self.settings.noise else mean

        z = self.model.posterior(self.seen(self.x), self.labels)[0] if chains else ops.zeros_like(self.mask[:1])
        _, _, total, last = ops.fori_loop(0, self.settings.steps, step, (self.x, z, ops.zeros_like(self.x), self.x))
        if self.settings.num_draws is None:
            return ops.mean(self.by_particle(total), axis=1) / (self.settings.steps - half)
        return ops.moveaxis(self.by_particle(last), 1, 0)

    def by_particle(self, values: Tensor) -> Tensor:
        """`[n·K,…]` as `[n,K,…]`."""
        return ops.reshape(values, (-1, self.settings.particles, *values.shape[1:]))

    def from_prior(self, seeds: Tensor) -> Tensor:
        """z ~ p(z|x_obs) of a `zoo.VAEAC`: every particle is a draw."""
        labels = Masked.beside(self.x, self.mask)
        z = self.model.latents(self.seeds, ops.ones_like(self.seeds, "float32"), labels)
        params = self.model.likelihood_params(self.model.decoder_inputs(z, labels))
        if self.settings.num_draws is None:
            return ops.mean(self.by_particle(self.likelihood.mean(params)), axis=1)
        return ops.moveaxis(self.by_particle(self.drawn(params, observed_seeds(self.seeds))), 1, 0)

    def proposed(self, filled: Tensor, z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return z, self.propose(filled, t).params

    def moved(self, filled: Tensor, z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """A step of Metropolis and Hastings with q(z|x) as the proposal; the first half of the steps accepts all."""
        mean, log_var = self.model.posterior(self.seen(filled), self.labels)
        seeds = random.fold_in(self.seeds, t)
        candidate = distributions.reparameterize(mean, log_var, random.normal(seeds, mean.shape[1:]))
        density = self.model.prior.density(self.model.prior_labels(self.labels))

        def log_weight(z):
            params = self.params(z)
            judged = self.observed(params) if self.settings.masked else self.likelihood.log_prob(filled, params)
            return params, judged + density(z) - distributions.normal_log_prob(z, mean, log_var)

        (new, new_weight), (old, old_weight) = log_weight(candidate), log_weight(z)
        chance = ops.log(random.uniform(random.fold_in(seeds, 2), ()))
        accepted = (chance < new_weight - old_weight) | (t < self.settings.steps // 2)

        def either(yes, no):
            return ops.where(ops.reshape(accepted, (-1, *[1] * (len(yes.shape) - 1))), yes, no)

        return either(candidate, z), either(new, old)

    def params(self, z: Tensor) -> Tensor:
        return self.model.likelihood_params(self.model.decoder_inputs(z, self.labels))
