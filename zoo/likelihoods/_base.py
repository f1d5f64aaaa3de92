"""The protocol of likelihoods p(x|z).

A decoder gives `params_size(C)` numbers for the C channels of a pixel; the likelihood turns them into log-probabilities
and into the mean of the data.
"""

from collections.abc import Sequence
from typing import Any

from keras import layers

from zoo.runtime import checks
from zoo.runtime.types import Tensor


class Likelihood(layers.Layer):
    """Base of the likelihoods. They compute in float32 under any dtype policy.

    `eight_bit` says whether `log_prob` is the log of a probability over the 256 values of a pixel, as bits per dim
    require. `support` is the range of the data, (low, high), or None for the real line. `unbounded` says whether
    `params` range over all numbers: the decoder must then not end in a sigmoid or another bounded activation.
    """

    eight_bit = False
    support: tuple[float, float] | None = (0.0, 1.0)
    unbounded = True

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.built = True

    def params_size(self, channels: int) -> int:
        """The number of parameters per pixel that the decoder must give for `channels` channels."""
        return channels

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        """log p(x|z), summed over pixels and channels: float32 `[B]`, nats per example."""
        raise NotImplementedError

    def mean(self, params: Tensor) -> Tensor:
        """The mean of the data, float32 `[B,H,W,C]` within the support."""
        raise NotImplementedError

    def check_params(self, data_shape: Sequence[int | None], params_shape: Sequence[int | None]) -> None:
        """Raises ValueError unless a decoder's output fits the data. Other shapes could broadcast silently.

        Args:
            data_shape, params_shape: tuples of ints without the batch axis; None is an unknown size.
        """
        *size, channels = data_shape
        wanted = (*size, None if channels is None else self.params_size(channels))
        fits = len(wanted) == len(params_shape)
        if not fits or any(a != b for a, b in zip(wanted, params_shape) if None not in (a, b)):
            expected = ", ".join("?" if n is None else str(n) for n in wanted)
            raise ValueError(
                f"Expected the decoder to give [B, {expected}], as {type(self).__name__} asks for {wanted[-1]} numbers "
                f"for the {channels} channels of a pixel. Received: an output of shape [B, "
                f"{', '.join(map(str, params_shape))}]"
            )


def require(likelihood: object) -> Likelihood:
    """Returns `likelihood`; raises a ValueError with the members that it lacks."""
    return checks.implements("likelihood", likelihood, Likelihood, ("log_prob", "mean"))
