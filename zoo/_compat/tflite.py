"""Operators that TFLite's converter gets wrong, and what it says when it fails."""

import re

import tensorflow as tf
from keras import ops


@ops.custom_gradient
def softplus(x):
    """log(1 + e^x), elementwise, in a form that stays finite in every runtime.

    Why: TFLite's converter writes the operator of this name as log(e^x + 1), which overflows from 89 on
        (TensorFlow 2.21.0).
    Upstream: https://github.com/tensorflow/tensorflow/issues/60892,
        https://github.com/tensorflow/tensorflow/issues/120300 (both closed).
    Once mended: use `keras.ops.softplus` in `zoo.distributions`.
    """

    def gradient(upstream):
        return upstream * ops.sigmoid(x)  # in one operation, not by way of each of those below

    return ops.relu(x) + ops.log1p(ops.exp(-ops.abs(x))), gradient


def argmax(x, axis):
    """The place of the largest number along an axis, int32.

    Why: `keras.ops.argmax` looks at the sign bits of zeros first, by operators that TFLite has not: "'tf.BitwiseAnd' op
        is neither a custom op nor a flex op" (Keras 3.15.1, src/backend/tensorflow/numpy.py).
    Upstream: https://github.com/keras-team/keras/pull/20821, which added that.
    Once mended: use `keras.ops.argmax`.
    """
    return tf.argmax(x, axis=axis, output_type=tf.int32)


def argmin(x, axis):
    """The place of the smallest number along an axis, int32. As for `argmax`, in all respects."""
    return tf.argmin(x, axis=axis, output_type=tf.int32)


# As in: loc(fused["Inv:", "decoder/lambda/Inv@__inference_decode_12"]): error: 'tf.Inv' op is neither a custom op nor …
_FAILURE = re.compile(r"'tfl?\.(\w+)' op ([^\n]{0,120})")
_PLACE = re.compile(r'fused\["(\w+):", (?:callsite\()?"([^"@]+)')
_WRAPPERS = {"StatefulPartitionedCall", "PartitionedCall"}


def unsupported_operators(message):
    """The operators that a failed conversion names, each with its layer: a list of str, empty for another failure.

    Private: the text of the converter's error, as of TensorFlow 2.21.0; its class,
        `tensorflow.lite.python.convert_phase.ConverterError`, is private as well, and holds no list of operators.
    Why: a user must learn which layer to change.
    Upstream: no upstream issue found (2026-11-26).
    Once mended: read the operators off the exception.
    """
    found = []
    for line in message.splitlines():
        failure = _FAILURE.search(line)
        if failure:
            places = [place for operator, place in _PLACE.findall(line) if operator not in _WRAPPERS]
            found.append(f"{failure[1]} of {places[0] if places else 'an unnamed layer'}")
    return list(dict.fromkeys(found))
