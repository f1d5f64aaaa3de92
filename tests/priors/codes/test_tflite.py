"""Drawing on a phone: builtin operators alone, and the same codes as in Keras."""

import entries
import numpy as np
import pytest
import tensorflow as tf


def convert(prior, **signatures):
    """The signatures as a TFLite model of builtin operators, and its runners."""
    module = tf.Module()
    module.state = [variable.value for variable in prior.variables]
    functions = [
        tf.function(call, autograph=False).get_concrete_function(**specs) for call, specs in signatures.values()
    ]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(functions, module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return tf.lite.Interpreter(model_content=converter.convert())


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize("kind", entries.KINDS)
@pytest.mark.parametrize("top_k", (pytest.param(None, marks=pytest.mark.slow), 3))
def test_the_same_codes_and_log_probabilities_in_tflite(kind, top_k):
    prior = entries.make(kind, entries.CLASSES)
    one, label = tf.TensorSpec([1], tf.int32), {"labels": tf.TensorSpec([1], tf.int32)}
    draw = lambda seeds, temperature, labels: {"codes": prior.draw(seeds, temperature, labels, top_k)}  # noqa: E731
    specs = {"seeds": one, "temperature": tf.TensorSpec([1]), **label}
    interpreter = convert(prior, draw=(draw, specs))
    runner = interpreter.get_signature_runner()
    for seed in range(8):
        arguments = {"seeds": np.int32([seed]), "temperature": np.float32([0.9]), "labels": np.int32([seed % 3])}
        expected = prior.draw(**arguments, top_k=top_k).numpy()
        np.testing.assert_array_equal(runner(**arguments)["codes"], expected)
    log_prob = lambda codes, labels: {"log_prob": prior.log_prob(codes, labels)}  # noqa: E731
    specs = {"codes": tf.TensorSpec([1, *prior.grid_shape], tf.int32), **label}
    runner = convert(prior, log_prob=(log_prob, specs)).get_signature_runner()
    given = runner(codes=expected, labels=arguments["labels"])["log_prob"]
    np.testing.assert_allclose(given, prior.log_prob(expected, arguments["labels"]), rtol=1e-5)
