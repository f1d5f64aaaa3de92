"""The conversion to ONNX: operators that tf2onnx does not know, and what it logs. tf2onnx need not be installed."""

import contextlib
import logging

import numpy as np


def convert(function, specs, opset):
    """An ONNX file, a `ModelProto`, of a `tf.function`; tf2onnx logs nothing.

    Private: the form of `custom_op_handlers` in `tf2onnx.convert.from_function`, a dict of names to pairs of a function
        of (context, node, name, args) and a list, as of tf2onnx 1.17.0 (tf2onnx/tfonnx.py); the name of its logger.
    Why: tf2onnx has no `Log1p` and no `Expm1`, in which the likelihoods are written, and lists as errors in its log
        what its exception says again.
    Upstream: no upstream issue found (2026-11-26); https://github.com/onnx/tensorflow-onnx/issues/1985 asks for
        other operators that are missing (open).
    Once mended: leave out the handlers.
    """
    import tf2onnx.convert

    handlers: dict = {operator: (handler, []) for operator, handler in (("Log1p", _log1p), ("Expm1", _expm1))}
    with _silent("tf2onnx"):
        file, _ = tf2onnx.convert.from_function(function, specs, opset, custom_op_handlers=handlers)
    return file


@contextlib.contextmanager
def _silent(name):
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


# Operators that tf2onnx does not know. Their formulas are W. Kahan's, as Goldberg 1991 gives that of log1p ("What Every
# Computer Scientist Should Know About Floating-Point Arithmetic", theorem 4): the rounding of u = 1 + x, or of u = e^x,
# cancels in the quotient, which leaves a few units in the last place at any x, where log(1 + x) would keep no digit.


def _log1p(graph, node, *_):
    """log(1 + x): x where u is 1, else log(u) · x / (u − 1); of large x log(u), where that quotient may be ∞ / ∞."""
    place = _Place(graph, node)
    x, one = place.x, place.number(1)
    u = place.add("Add", x, one)
    log = place.add("Log", u)
    quotient = place.add("Div", place.add("Mul", log, x), place.add("Sub", u, one))
    accurate = place.add("Where", place.add("Greater", x, one), log, quotient)
    place.finish("Where", place.add("Equal", u, one), x, accurate)


def _expm1(graph, node, *_):
    """e^x − 1: x where u is 1, else (u − 1) · x / log(u); of large |x| u − 1, where log(u) may be infinite."""
    place = _Place(graph, node)
    x, one = place.x, place.number(1)
    u = place.add("Exp", x)
    difference = place.add("Sub", u, one)
    quotient = place.add("Div", place.add("Mul", difference, x), place.add("Log", u))
    is_large = place.add("Greater", place.add("Abs", x), place.number(0.5))
    accurate = place.add("Where", is_large, difference, quotient)
    place.finish("Where", place.add("Equal", u, one), x, accurate)


class _Place:
    """The place of a node of one input `x`, which is taken out of tf2onnx's graph, for other operators to fill.

    Private: `remove_node`, `make_node`, `make_const`, `get_shape` and `get_dtype` of `tf2onnx.graph.Graph`, and
        `tf2onnx.utils`, as of tf2onnx 1.17.0: what its own handlers use, not documented.
    """

    def __init__(self, graph, node):
        self._graph, self._name = graph, node.name
        (self.x,), (self._output,) = node.input, node.output
        self._shape, self._dtype = graph.get_shape(self._output), graph.get_dtype(self._output)
        graph.remove_node(node.name)

    def number(self, value):
        from tf2onnx import utils

        value = np.array(value, utils.map_onnx_to_numpy_type(self._dtype))
        return self._graph.make_const(utils.make_name(self._name), value).output[0]

    def add(self, operator, *inputs):
        return self._graph.make_node(operator, list(inputs), op_name_scope=self._name).output[0]

    def finish(self, operator, *inputs):
        """Adds the operator whose output is that of the node."""
        kept = {"shapes": [self._shape], "dtypes": [self._dtype]}
        self._graph.make_node(operator, list(inputs), outputs=[self._output], name=self._name, **kept)
