"""The prior over the codes of a VQ-VAE, which is fitted to them after the model's own training."""

import keras

from zoo.models._prior import HasPrior
from zoo.priors import CodePrior, codes
from zoo.quantizers import Quantizer

NO_PRIOR = (
    "A VQVAE has no distribution over its codes until a prior is fitted to them and attached: it can neither sample "
    "nor compute log-probabilities; encode, decode and reconstruct need no prior. With the images of its training:\n"
    "    codes = model.encode(images)\n"
    "    prior = zoo.priors.Transformer(model.quantizer.num_codes, codes.shape[1:])\n"
    '    prior.compile("adam")\n'
    "    prior.fit(codes, batch_size=64, epochs=20)\n"
    "    model.prior = prior"
)


class HasCodePrior(HasPrior):
    """A model with a quantizer, and with a `zoo.priors.CodePrior` as its `prior`, or None.

    A model sets `encoder` and `quantizer`.
    """

    encoder: keras.layers.Layer
    quantizer: Quantizer

    @property
    def num_codes(self) -> int:
        """K, the number of codes."""
        return self.quantizer.num_codes

    @property
    def prior(self) -> CodePrior | None:
        """The `zoo.priors.CodePrior` over the codes, or None; can be set at any time."""
        return self.prior_slot.prior

    @prior.setter
    def prior(self, prior: CodePrior | None) -> None:
        self.attach_prior(prior)

    def check_prior(self, prior: object) -> None:
        prior = codes.require(prior)
        if prior.num_codes != self.num_codes:
            expected = f"over the quantizer's {self.num_codes} codes"
            raise ValueError(f"Expected `prior` to be {expected}. Received: num_codes={prior.num_codes}")
        grid_shape = self._grid_shape()
        if grid_shape is not None and prior.grid_shape != grid_shape:
            expected = f"over codes of the grid {grid_shape}"
            raise ValueError(f"Expected `prior` to be {expected}. Received: grid_shape={prior.grid_shape}")

    def apart(self) -> tuple[keras.layers.Layer, ...]:
        # The prior's own `fit` trains it.
        return () if self.prior is None else (self.prior,)

    def _grid_shape(self):
        """The shape of an image's codes, if the encoder knows its output's shape before it is called; else None."""
        shape = getattr(self.encoder, "output_shape", None)
        if shape is None:
            return None
        codes = self.quantizer.compute_output_spec(keras.KerasTensor(shape))["codes"].shape[1:]
        return None if None in codes else tuple(codes)

    @property
    def can_sample(self) -> bool:
        return self.prior is not None

    def _require_prior(self) -> CodePrior:
        prior = self.prior
        if prior is None:
            raise NotImplementedError(NO_PRIOR)
        return prior
