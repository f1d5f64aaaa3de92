"""TFLite's converter still has the faults that zoo._compat.tflite and zoo._compat.flatbuffer work around."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import ops

from zoo._compat import flatbuffer, tflite

X = np.float32([[1.0, 100.0, -100.0]])


def convert(function, shape, **settings):
    traced = tf.function(function, autograph=False).get_concrete_function(tf.TensorSpec(shape))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    for name, value in settings.items():
        setattr(converter, name, value)
    return converter.convert()


def run(content, x):
    interpreter = Interpreter(model_content=bytes(content), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_softplus_overflows():
    assert run(convert(ops.softplus, X.shape), X)[0, 1] == np.inf, "Use ops.softplus in the place of tflite.softplus"
    np.testing.assert_allclose(run(convert(tflite.softplus, X.shape), X), [[np.log1p(np.e), 100.0, 0.0]], atol=1e-6)


@pytest.mark.parametrize("ours, theirs, place", [(tflite.argmax, ops.argmax, 1), (tflite.argmin, ops.argmin, 2)])
def test_argmax_of_keras_does_not_convert(ours, theirs, place):
    assert run(convert(lambda x: ours(x, axis=1), X.shape), X) == [place]
    with pytest.raises(Exception, match="op is neither a custom op nor a flex op") as failed:
        convert(lambda x: theirs(x, axis=1), X.shape)
        pytest.fail(f"Use keras.ops.{theirs.__name__} in the place of zoo._compat.tflite.{ours.__name__}")
    found = tflite.unsupported_operators(str(failed.value))
    assert [operator.split()[0] for operator in found] == ["BitwiseAnd"]
    assert not hasattr(failed.value, "operators")


def test_other_failures_name_no_operator():
    assert tflite.unsupported_operators("no room on the disk") == []


# Files


def convolutions(file):
    """Of each transposed convolution: the shape of its bias or None, its fused activation, and its version."""
    (graph,) = file.subgraphs
    for operator in graph.operators:
        code = file.operatorCodes[operator.opcodeIndex]
        if flatbuffer.operator_name(code) == "TRANSPOSE_CONV":
            inputs = [list(graph.tensors[i].shape) for i in operator.inputs if i >= 0]
            yield inputs[3] if len(inputs) > 3 else None, operator.builtinOptions.fusedActivationFunction, code.version


def transposed(x, activation, offset):
    kernel = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 2, 4)), tf.float32)
    return activation(tf.nn.conv2d_transpose(x, kernel, (1, 8, 8, 2), 2, "SAME") + offset)


def converted(activation, offset):
    content = convert(lambda x: transposed(x, activation, offset), (1, 4, 4, 4))
    return content, flatbuffer.read(content)


def test_biases_of_equal_numbers_become_one():
    _, file = converted(tf.identity, 1.5)
    assert [bias for bias, *_ in convolutions(file)] == [[1]], "Biases stay whole: remove widen_biases"
    flatbuffer.widen_biases(file)
    assert [bias for bias, *_ in convolutions(file)] == [[2]]
    x = np.random.default_rng(1).normal(size=(1, 4, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(run(flatbuffer.write(file), x), transposed(x, tf.identity, 1.5), atol=1e-5)


def test_activations_are_fused_into_transposed_convolutions():
    _, file = converted(tf.nn.relu, [0.5, -0.5])
    relu = flatbuffer.schema.ActivationFunctionType.RELU
    assert [rest for _, *rest in convolutions(file)] == [[relu, 4]], "Version 3 is written: remove split_activations"
    flatbuffer.split_activations(file)
    assert [rest for _, *rest in convolutions(file)] == [[0, 3]]
    x = np.random.default_rng(1).normal(size=(1, 4, 4, 4)).astype(np.float32)
    wanted = transposed(x, tf.nn.relu, [0.5, -0.5])
    np.testing.assert_allclose(run(flatbuffer.write(file), x), wanted, atol=1e-5)


def test_scales_are_written_anew_for_each_tensor():
    """Two graphs with the same 4096 scales: 16 KB that the shared ones save."""
    weights = tf.constant(np.random.default_rng(0).normal(size=(4, 4096)), tf.float32)
    content = convert(lambda x: x @ weights, (1, 4), optimizations=[tf.lite.Optimize.DEFAULT])
    file = flatbuffer.read(content)
    file.subgraphs = [*file.subgraphs, flatbuffer.read(content).subgraphs[0]]
    plain = len(flatbuffer.flatbuffer_utils.convert_object_to_bytearray(file))
    assert plain - len(flatbuffer.write(file)) >= 4096 * 4, "Scales are shared: remove _Scales"


def test_what_is_read_and_written_computes_the_same():
    content, file = converted(tf.identity, 0.0)
    flatbuffer.add_metadata(file, "canary", b"yellow")
    again = flatbuffer.read(flatbuffer.write(file))
    (entry,) = [entry for entry in again.metadata if flatbuffer.text(entry.name) == "canary"]
    assert bytes(bytearray(again.buffers[entry.buffer].data)) == b"yellow"
    x = np.ones((1, 4, 4, 4), np.float32)
    np.testing.assert_array_equal(run(flatbuffer.write(again), x), run(content, x))
