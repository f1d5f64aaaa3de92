"""The likelihood of rows of a table: another likelihood for each group of channels."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops, saving

from zoo import random
from zoo.likelihoods._base import Likelihood
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor


@saving.register_keras_serializable("zoo")
class Mixed(Likelihood):
    """Data of several kinds side by side on the last axis, independent given z: log p(x|z) = Σ_g log p_g(x_g|z).

    The channels of group g are those of its likelihood, and the decoder gives the parameters of the groups in the same
    order. A row of a table is one example: numbers by `GaussianColumns`, counts by `Poisson` or `NegativeBinomial`,
    ordered levels by `Ordinal`, and each categorical column by a `Categorical` of as many channels as it has classes.
    For missing values, wrap it: `Masked(Mixed(…))`.

    Args:
        likelihoods: G likelihoods.
        channels: G ints >= 1, the channels of each.
        columns: a dict that JSON can hold, kept with the model: how a table's columns become these channels
            (`zoo.data.Schema.get_config`); or None.

    Raises:
        ValueError: for arguments that do not fit each other.

    Example:
        >>> parts = [zoo.likelihoods.GaussianColumns(2), zoo.likelihoods.Categorical()]
        >>> likelihood = zoo.likelihoods.Mixed(parts, channels=[2, 3])
        >>> likelihood.params_size(5)
        5
    """

    def __init__(
        self,
        likelihoods: Sequence[Likelihood | Mapping[str, object]],
        channels: Sequence[int],
        columns: Mapping[str, object] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        made: list[Any] = [keras.saving.deserialize_keras_object(e) if isinstance(e, dict) else e for e in likelihoods]
        if not made or not all(isinstance(each, Likelihood) for each in made):
            checks.fail("likelihoods", "a list of one zoo.likelihoods.Likelihood or more", likelihoods)
        self.channels = tuple(checks.positive_int("channels", each) for each in channels)
        if len(self.channels) != len(made):
            checks.fail("channels", f"{len(made)} ints, one for each likelihood", list(channels))
        self.likelihoods: list[Likelihood] = made
        self.columns = columns
        self.sizes = tuple(each.params_size(number) for each, number in zip(made, self.channels))
        supports = [each.support for each in made]
        known = [support for support in supports if support is not None]
        if len(known) < len(supports):
            self.support = None
        else:
            self.support = (min(low for low, _ in known), max(high for _, high in known))
        self.unbounded = any(each.unbounded for each in made)
        neutral = [np.broadcast_to(each.neutral, number).tolist() for each, number in zip(made, self.channels)]
        self.neutral = tuple(itertools.chain(*neutral))
        grids = [1.0 if each.counts else each.grid or 0.0 for each in made]
        if any(np.any(grid) for grid in grids):
            self.grid = tuple(np.concatenate([np.broadcast_to(*each) for each in zip(grids, self.channels)]).tolist())

    def params_size(self, channels: int) -> int:
        if channels != sum(self.channels):
            checks.fail("x", f"of {sum(self.channels)} channels, {list(self.channels)}", f"{channels} channels")
        return sum(self.sizes)

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        parts = zip(self.likelihoods, self._split(x, self.channels), self._split(params, self.sizes))
        return sum(each.log_prob(values, its, training) for each, values, its in parts)

    def observed_log_prob(self, x: Tensor, params: Tensor, mask: Tensor, training: bool = False) -> Tensor:
        parts = zip(
            self.likelihoods,
            self._split(x, self.channels),
            self._split(params, self.sizes),
            self._split(mask, self.channels),
        )
        return sum(each.observed_log_prob(values, its, seen, training) for each, values, its, seen in parts)

    def mean(self, params: Tensor) -> Tensor:
        parts = zip(self.likelihoods, self._split(params, self.sizes))
        return ops.concatenate([each.mean(its) for each, its in parts], axis=-1)

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        """As in `Likelihood`; group g has the seeds `fold_in(seeds, g)`."""
        parts = enumerate(zip(self.likelihoods, self._split(params, self.sizes)))
        return ops.concatenate([each.sample(its, random.fold_in(seeds, g)) for g, (each, its) in parts], axis=-1)

    def _split(self, values, sizes):
        ends = [sum(sizes[: number + 1]) for number in range(len(sizes) - 1)]
        return ops.split(values, ends, axis=-1) if ends else [values]

    def get_config(self) -> Config:
        parts = [keras.saving.serialize_keras_object(each) for each in self.likelihoods]
        return {**super().get_config(), "likelihoods": parts, "channels": list(self.channels), "columns": self.columns}
