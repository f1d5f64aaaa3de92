"""Methods of examples that run in sub-batches side by side."""

import functools
from collections.abc import Callable
from typing import TypeVar, cast

from zoo.runtime import cores

Method = TypeVar("Method", bound=Callable[..., object])


def sub_batched(method: Method) -> Method:
    """Wraps a method of examples: it runs in sub-batches side by side if `zoo.cores.sub_batches` says so.

    The batch stays whole when training layers that depend on all of it: layers that keep batch statistics, a likelihood
    whose scale follows the batch, and layers that add a loss, which may be a sum or a mean over their examples.
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
        networks = (self.encoder, self.decoder, self.likelihood)
        if training and any(network.non_trainable_weights for network in networks):
            return function(*values)  # without the zeros of an empty share, which would count in the statistics
        return cores.spread(function, *values, whole=whole)

    return cast(Method, call)
