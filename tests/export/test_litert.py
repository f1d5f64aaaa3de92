"""TFLite files: run by LiteRT alone, small when quantised, right where the converter or a runtime is not."""

import copy
import json
import math
import os
import subprocess
import sys
import textwrap

import conformance
import exports
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import zoo
from zoo import networks
from zoo._compat import flatbuffer as files
from zoo.export import litert

ALONE = """
    import json, sys
    for name in ("tensorflow", "keras", "zoo"):
        sys.modules[name] = None  # importing it fails
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    for path, inputs, outputs in json.loads(sys.argv[1]):
        runner, inputs = Interpreter(path).get_signature_runner("sample"), np.load(inputs)
        rows = [runner(**{name: inputs[name][i : i + 1] for name in inputs}) for i in range(len(inputs["seed"]))]
        np.savez(outputs, **{name: np.concatenate([row[name] for row in rows]) for name in rows[0]})
"""
SAMPLERS = [name for name in exports.NAMES if exports.has_prior(name)]
QUICK = [name for name in SAMPLERS if name in exports.QUICK]


@pytest.mark.long
@pytest.mark.parametrize(
    "names",
    (QUICK, pytest.param([name for name in SAMPLERS if name not in QUICK], marks=pytest.mark.slow)),
    ids=("quick", "others"),
)
def test_samples_in_litert_alone(names, exported, tmp_path):
    jobs = []
    for name in names:
        np.savez(tmp_path / f"{name}_in.npz", **exports.expected(name)["sample"][0])
        jobs.append([str(exported(name, "litert")), f"{tmp_path}/{name}_in.npz", f"{tmp_path}/{name}_out.npz"])
    argv = [sys.executable, "-c", textwrap.dedent(ALONE), json.dumps(jobs)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    for name in names:
        wanted, received = exports.expected(name)["sample"][1], np.load(tmp_path / f"{name}_out.npz")
        assert set(received) == set(wanted)
        exports.assert_agree(received["image"], wanted["image"], name)


@pytest.mark.parametrize("name", exports.PARAMS)
def test_builtin_operators_of_versions_that_delegates_know_and_no_unknown_shapes(name, exported):
    path = exported(name, "litert")
    for operator, version, custom in exports.operators(path):
        assert custom is None and operator not in ("CUSTOM", "DELEGATE"), (operator, custom)
        assert operator != "TRANSPOSE_CONV" or version <= 3
    for graph in exports.read(path).subgraphs:
        for tensor in graph.tensors:
            assert tensor.shapeSignature is None or min(tensor.shapeSignature, default=0) >= 0, tensor.name


# Transposed convolutions


def convolutions(file):
    """Of each transposed convolution: the size of its bias or None, its channels, and its fused activation."""
    found = []
    for graph in file.subgraphs:
        for operator in graph.operators:
            code = file.operatorCodes[operator.opcodeIndex]
            if code.builtinCode == files.schema.BuiltinOperator.TRANSPOSE_CONV:
                _, weights, _, *biases = [graph.tensors[i] for i in operator.inputs if i >= 0]
                fused = operator.builtinOptions.fusedActivationFunction
                found.append((math.prod(biases[0].shape) if biases else None, weights.shape[0], fused))
    return found


@pytest.fixture
def raw(monkeypatch):
    """A list of the files as the converter made them."""
    made, split = [], files.split_activations

    def record(file):
        made.append(copy.deepcopy(file))
        split(file)

    monkeypatch.setattr(files, "split_activations", record)
    return made


def check_decode(model, path, tolerance=1e-4):
    z = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    image = exports.run(path, "decode", {"z": z})["image"]
    np.testing.assert_allclose(image, model.decode(z), atol=tolerance)


def test_before_training_biases_are_zero(tmp_path):
    model = exports.make("transposed")
    check_decode(model, model.export(tmp_path / "model.tflite", format="litert"))


@pytest.mark.parametrize(
    "quantization, tolerance", [(None, 1e-4), pytest.param("float16", 1e-3, marks=pytest.mark.slow)]
)
def test_equal_biases_of_transposed_convolutions(quantization, tolerance, raw, tmp_path):
    keras.utils.set_random_seed(0)
    convolution = layers.Conv2DTranspose(64, 3, 2, "same", use_bias=False)
    model = exports.transposed(convolution, layers.Rescaling(1.0, 0.5), layers.ReLU())
    path = model.export(tmp_path / "model.tflite", format="litert", quantization=quantization)
    # What the converter does: one bias for 64 channels, and a version that GPU delegates refuse.
    assert any(size == 1 and channels == 64 and fused for size, channels, fused in convolutions(raw[0]))
    after = convolutions(exports.read(path))
    assert after and all(size in (None, channels) and not fused for size, channels, fused in after)
    assert ("TRANSPOSE_CONV", 3, None) in exports.operators(path)
    check_decode(model, path, tolerance)


def test_relu_is_taken_out_of_transposed_convolutions(exported):
    path = exported("transposed", "litert")
    assert {fused for _, _, fused in convolutions(exports.read(path))} == {0}
    assert ("TRANSPOSE_CONV", 3, None) in exports.operators(path)  # and `test_parity` says that it is right


def test_fused_relu_makes_a_version_that_is_refused(monkeypatch):
    monkeypatch.setattr(files, "split_activations", lambda file: None)
    with pytest.raises(ValueError, match="Expected version 3 at most. Received: version 4 of TRANSPOSE_CONV of "):
        litert.convert(exports.trained("transposed"))


def test_relu6_is_taken_out_as_well(raw, tmp_path):
    keras.utils.set_random_seed(0)
    biases = keras.initializers.RandomNormal(stddev=9.0)  # both ends are reached
    model = exports.transposed(layers.Conv2DTranspose(64, 3, 2, "same", activation="relu6", bias_initializer=biases))
    path = model.export(tmp_path / "model.tflite", format="litert")
    assert any(fused for _, _, fused in convolutions(raw[0]))
    assert not any(fused for _, _, fused in convolutions(exports.read(path)))
    check_decode(model, path)


# Quantisation


@pytest.mark.parametrize("quantization, share, least", [("float16", 0.75, 60), ("int8", 0.5, 45)])
def test_quantized_files_are_smaller_and_close(quantization, share, least, exported):
    whole = exported("transposed", "litert")
    path = exported("transposed", "litert", quantization=quantization)
    assert path.stat().st_size < share * whole.stat().st_size
    inputs, outputs = exports.expected("transposed")["decode"]
    error = exports.run(path, "decode", inputs)["image"] - outputs["image"]
    assert np.abs(error).max() > 0
    psnr = -10 * math.log10(np.mean(error.astype(np.float64) ** 2))
    assert psnr >= least
    assert all(np.isfinite(exports.run(path, "log_prob", exports.expected("transposed")["log_prob"][0])["log_prob"]))


@pytest.mark.parametrize("quantization", ("float16", "int8"))
def test_cost_of_quantization_is_reported(quantization, exported):
    path = exported("transposed", "litert", quantization=quantization)
    cost = json.loads(path.with_suffix(".json").read_text())["quantization"]
    x, _ = exports.images("transposed")
    model = exports.trained("transposed")
    # Measured again, on other images: alike, and no more than that.
    inputs = {"image": x, "seed": exports.SEEDS}
    change = np.mean(exports.run(path, "log_prob", inputs)["log_prob"] - model.log_prob(x, 1, exports.SEEDS).numpy())
    assert abs(cost["log_prob_change"] - change) < 0.5
    assert {"reconstruct_psnr", "decode_psnr", "sample_psnr", "log_prob_mean", "images"} <= set(cost)
    assert 45 <= cost["decode_psnr"] < 200 and cost["images"] == 8
    assert all(row["passed"] for row in zoo.export.check(path, model))


# Numbers that a runtime computes in another way than TensorFlow


def test_large_logits_stay_finite(tmp_path):
    keras.utils.set_random_seed(0)
    encoder = networks.mlp_encoder(conformance.SHAPE, 3, hidden=(8,))
    decoder = networks.mlp_decoder(conformance.SHAPE, 3, hidden=(8,))
    model = zoo.VAE(encoder, decoder, "bernoulli")
    bias = np.resize(np.float32([200, -200, 95, -95, 3]), 64)
    next(weight for weight in reversed(decoder.weights) if weight.shape == (64,)).assign(bias)
    path = model.export(tmp_path / "model.tflite", format="litert")
    x, _ = exports.images("vae")
    received = exports.run(path, "log_prob", {"image": x, "seed": exports.SEEDS})["log_prob"]
    wanted = model.log_prob(x, 1, exports.SEEDS).numpy()
    assert np.all(wanted < -1000)  # most logits are on the wrong side
    exports.assert_agree(received, wanted)
    image = exports.run(path, "reconstruct", {"image": x})["image"]
    np.testing.assert_allclose(image.reshape(exports.ROWS, -1)[:, :4], [[1, 0, 1, 0]] * exports.ROWS, atol=1e-6)


# What cannot be converted, and what should not be fed


@keras.saving.register_keras_serializable("tests")
def inverse(x):
    return tf.linalg.inv(x + 20 * tf.eye(8))


def test_operator_that_tflite_has_not_is_named_with_its_layer(tmp_path):
    decoder = keras.Sequential(
        [
            layers.Input((3,)),
            layers.Dense(64),
            layers.Reshape((8, 8)),
            layers.Lambda(inverse, output_shape=(8, 8), name="odd_one"),
            layers.Reshape((8, 8, 1)),
        ]
    )
    model = zoo.VAE(networks.mlp_encoder(conformance.SHAPE, 3, hidden=(8,)), decoder, "bernoulli")
    match = r"Expected a model of operators that TFLite has built in. Received: MatrixInverse of .*odd_one"
    with pytest.raises(ValueError, match=match):
        model.export(tmp_path / "model.tflite", format="litert")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("signature", ("reconstruct", "encode", "log_prob"))
@pytest.mark.parametrize("shape", [(1, 9, 8, 1), (1, 8, 8, 3), (1, 16, 16, 1)])
@pytest.mark.parametrize("name", ("vae", "hierarchical_vae", "vq_vae_prior"))
def test_images_of_another_size_are_an_error(name, shape, signature, exported):
    inputs = {"image": np.zeros(shape, np.float32)}
    if signature == "log_prob":
        inputs["seed"] = np.int32([0])
    with pytest.raises(RuntimeError, match="failed to prepare"):
        exports.run(exported(name, "litert"), signature, inputs)
    # And the next call is as right as before.
    inputs, outputs = exports.expected(name)["encode"]
    received = exports.run(exported(name, "litert"), "encode", inputs)
    for output, wanted in outputs.items():
        exports.assert_agree(received[output], wanted)


def test_python_runner_takes_images_of_another_size_for_flat_ones_where_the_encoder_flattens_them(exported):
    # LiteRT's Python runner gives each input the shape that comes. What the first layer then makes of it cannot be
    # refused by a file: TFLite has no operator that asserts a shape. Other languages copy bytes and never resize.
    x, _ = exports.images("vae", 1)
    path = exported("vae", "litert")
    usual = exports.run(path, "reconstruct", {"image": x})["image"]
    turned = exports.run(path, "reconstruct", {"image": x.reshape(1, 16, 4, 1)})["image"]
    np.testing.assert_allclose(turned, usual, atol=1e-6)


def test_more_rows_than_the_batch_are_an_error(exported):
    runner = exports.load(exported("vae", "litert")).get_signature_runner("sample")
    with pytest.raises(RuntimeError, match="failed to prepare"):
        runner(seed=np.int32([1, 2]), temperature=np.float32([1, 1]))
