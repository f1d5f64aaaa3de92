"""The base of CVAEs whose labels are arrays: past frames of a clip, or the observed part of an image."""

import math
from typing import Any

import keras
from keras import ops

from zoo.fitting import inputs
from zoo.likelihoods import Likelihood
from zoo.models.cvae import CVAE
from zoo.priors import LatentPrior
from zoo.runtime.types import Array, Config, Shape, Tensor


class GivenVAE(CVAE):
    """A CVAE of data x given an array y, the labels of its methods.

    A subclass defines `encoder_inputs`, `decoder_inputs` and `data_shape`.

    Args:
        encoder, decoder: layers; the subclass states their inputs and outputs.
        given_shape: shape of an example of y.
        likelihood: as in `zoo.VAE`.
        prior: a `zoo.priors.LatentPrior`, p(z) or p(z|y); None for the standard normal.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        given_shape: Shape,
        likelihood: str | Likelihood,
        prior: LatentPrior | None,
        **kwargs: Any,
    ) -> None:
        self._given_shape = tuple(given_shape)  # the base class asks for it
        super().__init__(encoder, decoder, None, likelihood, math.prod(given_shape), prior, **kwargs)

    @property
    def label_spec(self) -> tuple[str, tuple[int, ...]]:
        return ("float32", self._given_shape)

    def label_values(self, labels: Array) -> inputs.Values:
        support = self.likelihood.support
        return inputs.Values("labels", labels) if support is None else inputs.Values("labels", labels, *support)

    def prior_labels(self, labels: Tensor | None) -> Tensor | None:
        if not self.prior.conditional:
            return None
        return ops.reshape(labels, (-1, *self.prior.label_spec[1]))

    def get_config(self) -> Config:
        config = super().get_config()
        for derived in ("num_classes", "num_attributes"):
            del config[derived]
        return config
