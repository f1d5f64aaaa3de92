"""Methods of examples that run in sub-batches side by side."""

import functools
from collections.abc import Callable
from typing import TypeVar, cast

from zoo.runtime import cores

Method = TypeVar("Method", bound=Callable[..., object])


def sub_batched(method: Method, judges: bool = False) -> Method:
    """Wraps a method of examples: it runs in sub-batches side by side if `zoo.cores.sub_batches` says so.

    The batch stays whole when training layers that depend on all of it: layers that keep batch statistics, a likelihood
    whose scale follows the batch, and layers that add a loss, which may be a sum or a mean over their examples.

    Args:
        method: of the networks that a model holds.
        judges: whether the method calls the likelihood too.
    """

    @functools.wraps(method)
    def call(self, *values, training=False):
        number = len(self.added or ())

        def whole():
            added = len(self.added or ()) > number
            if added:
                del self.added[number:]
            return added

        function = functools.partial(method, self, training=training)
        if training and judges and self.likelihood.non_trainable_weights:
            return function(*values)  # the scale must follow the examples alone, without those that fill a share
        statistics = training and any(network.non_trainable_weights for network in (self.encoder, self.decoder))
        return cores.spread(function, *values, statistics=statistics, whole=whole)

    return cast(Method, call)
