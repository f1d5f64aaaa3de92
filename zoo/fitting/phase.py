"""Networks that run within a step, but that no argument tells whether it is one of training."""

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras

from zoo.runtime import cores
from zoo.runtime.types import Tensor

if TYPE_CHECKING:
    from zoo.fitting.model import ObjectiveModel

_current = threading.local()  # each replica is traced in a thread of its own


@contextlib.contextmanager
def step_of(model: "ObjectiveModel", training: bool) -> Iterator[None]:
    """A context in which `run` runs networks as parts of a step of `model`."""
    before = getattr(_current, "step", None)
    _current.step = model, training
    try:
        yield
    finally:
        _current.step = before


def run(network: keras.layers.Layer, x: Tensor) -> Any:
    """Calls a network whose caller is not told of training, such as one that a prior holds.

    In a step of training, dropout and batch normalisation act, and the losses that its layers add count. Elsewhere it
    runs in inference. Its batch stays whole: it is not split into sub-batches.

    Args:
        network: layer or model of one input.
        x: `[B, …]`.

    Returns:
        the network's output.
    """
    step = getattr(_current, "step", None)
    if step is None:
        return network(x, training=False)
    model, training = step

    def call(x):
        output = network(x, training=training)
        model.note_added(network)
        return output

    return cores.spread(call, x, statistics=True)
