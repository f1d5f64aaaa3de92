"""p(x|z): what a decoder's output says of the data.

A decoder gives `params_size(C)` numbers for the C channels of a place; the likelihood turns them into nats and into
data.
"""

from collections.abc import Sequence
from typing import Any

from keras import layers

from zoo.runtime import checks
from zoo.runtime.types import Tensor


class Likelihood(layers.Layer):
    """Base of the likelihoods. They compute in float32 under any dtype policy.

    `eight_bit` says whether `log_prob` is the log of a probability over the 256 values of a pixel, which is what
    bits per dim need. `support` is the range of values that the data may have, (low, high), or None for the real line.
    `unbounded` says whether `params` may be any numbers, so that a decoder must not end in a sigmoid or the like.
    """

    eight_bit = False
    support: tuple[float, float] | None = (0.0, 1.0)
    unbounded = True

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.built = True

    def params_size(self, channels: int) -> int:
        """Numbers a pixel that the decoder must give for `channels` channels."""
        return channels

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        """log p(x|z), summed over the pixels: float32 `[B]`, nats per example."""
        raise NotImplementedError

    def mean(self, params: Tensor) -> Tensor:
        """The mean of the data, float32 `[B,H,W,C]` within the support."""
        raise NotImplementedError

    def check_params(self, data_shape: Sequence[int | None], params_shape: Sequence[int | None]) -> None:
        """Raises ValueError unless a decoder's output fits the data: they could be broadcast against one another.

        Args:
            data_shape, params_shape: tuples of ints, or None where a size is not known, without the batch.
        """
        *size, channels = data_shape
        wanted = (*size, None if channels is None else self.params_size(channels))
        fits = len(wanted) == len(params_shape)
        if not fits or any(a != b for a, b in zip(wanted, params_shape) if None not in (a, b)):
            expected = ", ".join("?" if n is None else str(n) for n in wanted)
            raise ValueError(
                f"Expected the decoder to give [B, {expected}], as {type(self).__name__} asks for {wanted[-1]} numbers "
                f"for the {channels} values of a place. Received: an output of shape [B, "
                f"{', '.join(map(str, params_shape))}]"
            )


def require(likelihood: object) -> Likelihood:
    """`likelihood`, or ValueError that names what it lacks."""
    return checks.implements("likelihood", likelihood, Likelihood, ("log_prob", "mean"))
