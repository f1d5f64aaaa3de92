"""The same numbers from the same inputs: in Keras, in TensorFlow alone, in LiteRT alone."""

import json
import math
import types
from unittest import mock

import exports
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.export import parity, runtimes, signatures

every_name = pytest.mark.parametrize("name", exports.PARAMS)
every_format = pytest.mark.parametrize("format", exports.FORMATS)


@every_name
@every_format
def test_every_signature_agrees_with_keras(name, format, exported):
    path = exported(name, format)
    for signature, (inputs, outputs) in exports.expected(name).items():
        received = exports.run(path, signature, inputs)
        assert set(received) == set(outputs)
        for output, wanted in outputs.items():
            if wanted is None:
                own = {"labels": inputs["labels"]} if "labels" in inputs else {}
                wanted, output = exports.decode(name, received["z"], own), "image"
            exports.assert_agree(received[output], wanted, f"{output} of {signature}")


@pytest.mark.parametrize("name", exports.conformance.params(filter(exports.has_prior, exports.NAMES), exports.QUICK))
@every_format
def test_seeds_make_the_samples_and_temperature_zero_makes_all_the_same(name, format, exported):
    seeds, temperatures = np.int32([0, -1, 2**31 - 1, -(2**31), 5, 6]), np.float32([1, 1, 1, 1, 0, 0])
    inputs = {"seed": seeds, "temperature": temperatures}
    if exports.takes_labels(name, "sample"):
        inputs["labels"] = exports.conformance.labels_of(exports.ENTRIES[name], np.ones(6, np.int32))
    images = exports.run(exported(name, format), "sample", inputs)["image"]
    assert np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1
    if exports.ENTRIES[name].modes == 1:
        np.testing.assert_allclose(images[4], images[5], atol=1e-6)
    if not exports.is_discrete(name):  # of four draws of few codes two may be equal
        assert all(np.abs(images[i] - images[j]).max() > 1e-4 for i in range(4) for j in range(i))


# With labels, a prior, and codes; a TFLite file has one row in any case. test_onnx.py has layers of latents.
ALONE = ("cvae", "vae_vamp", "vq_vae_labels")


@pytest.mark.parametrize("name", exports.conformance.params(exports.NAMES, ALONE))
def test_a_row_does_not_depend_on_its_batch(name, exported):
    path = exported(name)
    for signature, (inputs, _) in exports.expected(name).items():
        together = exports.run(path, signature, inputs)
        for rows in ([3], [6, 0, 3]):
            apart = exports.run(path, signature, {key: value[rows] for key, value in inputs.items()})
            for output, values in apart.items():
                exports.assert_agree(values, together[output][rows], f"{output} of {signature}, rows {rows}")


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ("float16", "int8"))
@every_name
def test_every_model_survives_quantization(name, quantization, exported):
    path = exported(name, "litert", quantization=quantization)
    for signature, (inputs, outputs) in exports.expected(name).items():
        received = exports.run(path, signature, inputs)
        assert set(received) == set(outputs)
        for output, values in received.items():
            assert np.isfinite(values).all(), f"{output} of {signature}"
    inputs, outputs = exports.expected(name)["decode"]
    error = exports.run(path, "decode", inputs)["image"] - outputs["image"]
    assert -10 * math.log10(np.mean(error**2) + 1e-20) > 40


# `zoo.export.check`


@every_format
def test_check_reports_every_output_and_that_it_passed(format, exported, capsys):
    path = exported("vae", format)
    rows = zoo.export.check(path, exports.trained("vae"))
    assert [(row["signature"], row["output"]) for row in rows] == [
        ("reconstruct", "image"),
        ("encode", "mean"),
        ("encode", "log_var"),
        ("decode", "image"),
        ("sample", "image"),
        ("sample", "z"),
        ("log_prob", "log_prob"),
    ]
    assert all(row["passed"] and row["largest"] <= row["allowed"] == 1e-4 for row in rows)
    assert all(row["psnr"] > 80 for row in rows if row["output"] == "image")
    table = capsys.readouterr().out.strip().splitlines()
    assert table[0].split()[0] in ("SavedModel", "LiteRT") and len(table) == 9 and "too large" not in "".join(table)


@pytest.mark.parametrize(
    "name, changed, format",
    [
        ("vae", {"log_prob", "image"}, "litert"),
        ("vq_vae", {"codes", "image"}, "tf_saved_model"),
        pytest.param("vae", {"log_prob", "image"}, "tf_saved_model", marks=pytest.mark.slow),
        pytest.param("vq_vae", {"codes", "image"}, "litert", marks=pytest.mark.slow),
    ],
)
def test_check_sees_weights_that_changed_after_the_export(name, changed, format, exported, capsys):
    path = exported(name, format)
    other = exports.make(name)  # as it was before training
    x, _ = exports.images(name, 8)
    rows = zoo.export.check(path, other, images=x)
    failed = {row["output"] for row in rows if not row["passed"]}
    assert changed <= failed
    assert capsys.readouterr().out.count("too large") == sum(not row["passed"] for row in rows)


def test_codes_must_be_identical(exported):
    report = exported("vq_vae_prior") / "assets.extra" / "export.json"  # of the check that each export ends with
    rows = json.loads(report.read_text())["parity"]
    codes = [row for row in rows if row["output"] == "codes"]
    assert [row["signature"] for row in codes] == ["encode", "sample"]
    assert all(row["allowed"] == 0.0 and row["largest"] == 0.0 for row in codes)


@pytest.mark.parametrize("scale", (1.0, 1000.0))
@pytest.mark.parametrize("name", ("vq_vae", "vq_vae_residual"))
def test_codes_of_nearly_the_same_vector_are_the_same_and_others_are_not(name, scale):
    model = exports.make(name)
    levels = getattr(model.quantizer, "quantizers", [model.quantizer])
    for level in levels:  # code 3 stands for the vector of code 2, and 5 for one beside it
        vectors = scale * tf.convert_to_tensor(level.embeddings)
        level.embeddings.assign(tf.tensor_scatter_nd_update(vectors, [[3], [5]], [vectors[2], 1.0005 * vectors[2]]))
    reference = runtimes.Keras(model)
    codes = np.full((2, *exports.ENTRIES[name].codes_shape), 2, np.int32)
    reference.run = lambda signature, x: {"codes": codes}
    for found, largest in ((2, 0.0), (3, 0.0), (5, 0.0), (4, 2.0), (99, 97.0)):
        runtime = mock.Mock(run=lambda signature, x, found=found: {"codes": np.full_like(codes, found)})
        (row,) = parity.compare(reference, runtime, {"encode": {"x": codes}})
        assert row["largest"] == largest / (2.0 if largest else 1.0) and row["passed"] == (largest == 0.0)


def test_data_of_a_sensitive_likelihood_may_differ_by_more_than_other_outputs():
    reference = mock.Mock(sensitivity={"x": 100.0}, run=lambda signature, x: {"x": x, "mean": x})
    runtime = mock.Mock(run=lambda signature, x: {"x": x + 5e-3, "mean": x + 5e-3})
    rows = parity.compare(reference, runtime, {"encode": {"x": np.ones((2, 3), np.float32)}})
    assert [row["allowed"] for row in rows] == pytest.approx([1e-2, 1e-4])
    assert [row["passed"] for row in rows] == [True, False]


def test_check_takes_the_newest_version_of_a_folder_by_number(tmp_path, exported):
    newest = exported("vae")
    for number in ("2", "9"):
        (tmp_path / number).mkdir()
    (tmp_path / "10").symlink_to(newest)
    assert all(row["passed"] for row in zoo.export.check(tmp_path, exports.trained("vae")))


@pytest.mark.parametrize("made", (None, "folder", "file.bin"))
def test_check_of_what_is_no_exported_model(made, tmp_path):
    path = tmp_path / "nothing"
    if made == "folder":
        path.mkdir()
    elif made:
        path = tmp_path / made
        path.write_bytes(b"?")
    with pytest.raises(ValueError, match="Expected `path` to be an exported model.* Received: path=.*" + path.name):
        zoo.export.check(path, exports.trained("vae"))


def test_check_uses_the_images_and_labels_that_are_given(exported):
    x, labels = exports.images("cvae", 5)
    rows = zoo.export.check(exported("cvae"), exports.trained("cvae"), images=x, labels=labels)
    assert all(row["passed"] and row["rows"] == 5 for row in rows)


class Fake:
    """A runtime that answers with what it was given, changed."""

    name = "fake"

    def __init__(self, change=lambda value: value):
        self.change = change

    def run(self, signature, **inputs):
        return {"log_prob": self.change(inputs["image"])}


@pytest.mark.parametrize(
    "change, largest",
    [
        (lambda value: value, 0.0),
        (lambda value: value + np.float32(0.5), 0.5),  # at 0, of which |a| counts as 1
        (lambda value: value * np.float32(1.25), 0.25),  # at 100, relative to it
        (lambda value: value[:, None], math.inf),
        (lambda value: value.astype(np.float64), math.inf),
        (lambda value: value * np.float32(np.nan), math.nan),
    ],
)
def test_largest_difference(change, largest):
    cases = {"log_prob": {"image": np.float32([0.0, -100.0])}}
    (row,) = parity.compare(Fake(), Fake(change), cases)
    np.testing.assert_allclose(row["largest"], largest)
    assert row["rows"] == 2 and row["passed"] == (largest == 0.0)


def test_a_difference_too_large_raises_with_where_it_is(capsys):
    cases = {"log_prob": {"image": np.float32([1.0])}}
    with pytest.raises(parity.ParityError, match="the fake to agree.* of 0.5, not 0.0001 at most, in log_prob of log"):
        parity.require(Fake(), Fake(lambda value: value + np.float32(0.5)), cases)
    assert "too large" in capsys.readouterr().out


def test_nan_in_what_quantisation_leaves_is_refused():
    cases = {"log_prob": {"image": np.float32([1.0])}, "reconstruct": {"image": np.float32([1.0])}}
    assert parity.cost(Fake(), Fake(), cases)["images"] == 1
    with pytest.raises(parity.ParityError, match="Expected finite numbers. Received: log_prob of log_prob"):
        parity.cost(Fake(), Fake(lambda value: value * np.float32(np.nan)), cases)


class Reference:
    """A runtime that is asked for whole batches alone."""

    def __init__(self, call):
        self.call = call

    def run(self, signature, image):
        return {"image": self.call(tf.constant(image)).numpy()}


@pytest.mark.parametrize("depends", [True, False])
def test_a_saved_model_whose_rows_depend_on_their_batch_does_not_pass(depends, tmp_path):
    """All rows together agree to the last bit: it is seen by running them one by one."""

    def call(image):
        return image - 0.1 * tf.reduce_mean(image, axis=0, keepdims=True) if depends else 0.9 * image

    module = tf.Module()
    specification = tf.TensorSpec((None, 2, 2, 1), tf.float32, "image")
    module.call = tf.function(lambda image: {"image": call(image)}, input_signature=[specification])
    tf.saved_model.save(module, str(tmp_path), {"reconstruct": module.call})
    images = np.random.default_rng(0).uniform(size=(5, 2, 2, 1)).astype("float32")
    reference, written = Reference(call), runtimes.SavedModel(tmp_path)
    np.testing.assert_allclose(
        written.run("reconstruct", image=images)["image"], reference.run("", images)["image"], atol=1e-6
    )
    (row,) = parity.compare(reference, written, {"reconstruct": {"image": images}})
    assert row["passed"] == (not depends) and (row["largest"] > 0.01) == depends
    if depends:
        with pytest.raises(parity.ParityError, match="in image of reconstruct"):
            parity.require(reference, written, {"reconstruct": {"image": images}})


def test_psnr():
    black, grey = np.zeros((2, 3, 3, 1), np.float32), np.full((2, 3, 3, 1), 0.1, np.float32)
    assert parity.psnr(black, grey) == pytest.approx(20.0, abs=1e-4)
    assert parity.psnr(grey, grey) == 200.0


def test_what_a_quantization_costs_is_the_second_runtime_less_the_first():
    def runtime(shift):
        outputs = {
            "reconstruct": {"image": np.zeros((3, 2))},
            "log_prob": {"log_prob": np.float32([-5, -6, -7]) + shift},
        }
        return types.SimpleNamespace(run=lambda name, **inputs: outputs[name])

    cases = {"reconstruct": {"image": np.zeros((3, 2))}, "log_prob": {"image": np.zeros((3, 2))}}
    assert parity.cost(runtime(0.0), runtime(-0.5), cases)["log_prob_change"] == -0.5


def test_cases_have_the_inputs_of_the_signatures_and_the_extreme_seeds():
    model = exports.trained("cvae")
    reference = zoo.export.runtimes.Keras(model)
    cases = parity.cases(model, reference)
    assert {name: set(case) for name, case in cases.items()} == {
        name: set(signature.inputs) for name, signature in signatures.of(model).items()
    }
    assert {0, -1, 2**31 - 1, -(2**31)} <= set(cases["sample"]["seed"].tolist())
    assert 0.0 in cases["sample"]["temperature"] and set(cases["sample"]["labels"].tolist()) == {0, 1, 2, 3}
    many, _ = exports.images("cvae", 20)
    seeds = parity.cases(model, reference, many)["sample"]["seed"]
    assert len(seeds) == 20 and seeds.dtype == np.int32


def test_a_masked_model_that_cannot_sample_makes_examples_beside_a_mask():
    encoder = zoo.networks.residual_encoder((8, 8, 2), 2, filters=4, blocks=0)
    decoder = zoo.networks.residual_decoder((2, 2, 2), 1, filters=4, blocks=0)
    likelihood = zoo.likelihoods.Masked(zoo.likelihoods.Gaussian(0.1))
    model = zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(4, 2), likelihood)
    made = np.asarray(parity.own_images(model))
    assert made.shape == (parity.ROWS, 8, 8, 2) and np.all(made[..., 1] == 1.0)


def test_a_nan_is_no_difference_that_is_spared():
    expected = np.zeros(200, np.float32)
    received = expected.copy()
    received[3] = np.nan
    assert math.isnan(parity._largest(expected, received, 0.01))
    received[3] = 1.0
    assert parity._largest(expected, received, 0.01) == 0.0
