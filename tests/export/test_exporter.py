"""What `export` takes, what it refuses, and what it leaves when something is wrong."""

import conformance
import exports
import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import networks
from zoo.export import flatbuffer, parity, runtimes, saved_model, signatures


def refused(path, match, name="vae", **kwargs):
    with pytest.raises(ValueError, match=match):
        exports.trained(name).export(path, **kwargs)


@pytest.mark.parametrize(
    "file, kwargs, match",
    [
        (
            "m",
            {"format": "torch"},
            "`format` to be one of 'tf_saved_model', 'litert', 'onnx'. Received: format='torch'",
        ),
        (
            "m.tflite",
            {"format": "litert", "quantization": "int4"},
            "`quantization` to be one of None, 'float16', 'int8'. Received: quantization='int4'",
        ),
        ("m", {"quantization": "int8"}, "`quantization` to be one of None. Received: quantization='int8'"),
        ("m.tflite", {"format": "litert", "batch_size": 0}, "`batch_size` to be an integer >= 1. .*batch_size=0"),
        ("m.tflite", {"format": "litert", "batch_size": 1.5}, "`batch_size` to be an integer >= 1. .*batch_size=1.5"),
        ("m", {"format": "litert"}, '`path` to be a file that ends in ".tflite". Received: path=.*m'),
        ("m.TFLITE", {}, '`path` to be a file that ends in ".tflite". Received: path=.*m.TFLITE'),
        ("m.keras", {"format": "litert"}, '`path` to be a file that ends in ".tflite". Received: path=.*m.keras'),
        (
            "m.tflite",
            {"format": "tf_saved_model"},
            '`path` to be a folder; a TFLite file takes format="litert", or none. Received: path=.*m.tflite',
        ),
        ("m.keras", {}, r'`path` to be a folder.* written by model.save\("model.keras"\). Received: path=.*m.keras'),
        ("m.h5", {}, r'`path` to be a folder.* written by model.save\("model.keras"\). Received: path=.*m.h5'),
        (
            "m.onnx",
            {},
            r'`path` to be a folder, as .*: model.export\("model", format="onnx"\). Received: path=.*m.onnx',
        ),
        (
            "m.onnx",
            {"format": "onnx"},
            "`path` to be a folder, as a signature is a file of its own.* Received: path=.*m",
        ),
        ("m.onnx", {"format": "tf_saved_model"}, "`path` to be a folder, as a signature .* Received: path=.*m.onnx"),
        ("m.tflite", {"format": "onnx"}, "`path` to be a folder; a TFLite file .* Received: path=.*m.tflite"),
        (
            "m",
            {"format": "onnx", "quantization": "int8"},
            "`quantization` to be one of None. Received: quantization='int8'",
        ),
        ("m.pb", {}, "`path` to be a folder, in which `saved_model.pb` is then one of.* Received: path=.*m.pb"),
        (
            "m",
            {"images": np.zeros((2, 9, 8, 1), "f4")},
            r"`images` to be of the shape \[N, 8, 8, 1\]. .*\(2, 9, 8, 1\)",
        ),
        ("m", {"images": np.zeros((8, 8, 1), "f4")}, r"`images` to be of the shape \[N, 8, 8, 1\]. .*\(8, 8, 1\)"),
        (
            "m",
            {"images": np.zeros((0, 8, 8, 1), "f4")},
            r"`images` to be of the shape \[N, 8, 8, 1\]. .*\(0, 8, 8, 1\)",
        ),
        ("m", {"images": np.full((2, 8, 8, 1), 255, "u1")}, "`images` to be floating-point. Received: dtype=uint8"),
        (
            "m",
            {"images": np.full((2, 8, 8, 1), np.nan, "f4")},
            r"`images` to be finite numbers. Received: 128 of 128",
        ),
        ("m", {"labels": np.zeros(8, np.int32)}, "Expected no `labels`, as VAE is not conditional. Received: "),
    ],
)
@pytest.mark.filterwarnings("error")
def test_bad_argument(file, kwargs, match, tmp_path):
    refused(tmp_path / file, match, **kwargs)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "labels, match",
    [
        (np.zeros(3, np.int32), r"`labels` to be int32 of shape \[2\]. Received: shape \(3,\)"),
        (np.float32([0, 1.7]), "`labels` to be integers. Received: dtype=float32"),
        (np.array(["0", "1"]), "`labels` to be an array of numbers"),
        (np.int64([0, 2**32 + 1]), "`labels` to be from 0 to 3. Received: labels=4294967297"),
        (np.int32([0, 4]), "`labels` to be from 0 to 3. Received: labels=4"),
    ],
)
def test_bad_labels(labels, match, tmp_path):
    x, _ = exports.images("cvae", 2)
    refused(tmp_path / "m", match, "cvae", images=x, labels=labels)
    assert list(tmp_path.rglob("*.pb")) == []


def test_bad_images(tmp_path):
    x, labels = exports.images("cvae", 2)
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(2)
    refused(tmp_path / "m", "`images` to be an array of numbers", "cvae", images=dataset, labels=labels)


@pytest.mark.parametrize("format", exports.FORMATS)
@pytest.mark.parametrize("below", ("", "folder"))
def test_place_that_cannot_be_written_to(below, format, tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("mine")
    path = in_the_way / below / ("m.tflite" if format == "litert" else "m")
    refused(path, f"Expected `path` to be a folder that can be written to. Received: '{path.parent}", format=format)
    assert in_the_way.read_text() == "mine" and list(tmp_path.iterdir()) == [in_the_way]


def test_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "m").write_text("mine")
    refused(tmp_path / "m", "Expected `path` to be the folder of a model.* Received: path=.*m'")
    assert (tmp_path / "m").read_text() == "mine"


def test_folder_in_the_place_of_the_file(tmp_path):
    (tmp_path / "m.tflite").mkdir()
    refused(tmp_path / "m.tflite", "Expected `path` to be a file, not a folder. Received: path=.*m", format="litert")
    assert list(tmp_path.rglob("*")) == [tmp_path / "m.tflite"]


@pytest.mark.parametrize("format", exports.FORMATS)
def test_model_that_was_never_built(format, tmp_path):
    decoder = networks.mlp_decoder(conformance.SHAPE, 3, hidden=(8,))
    model = zoo.VAE(conformance.OwnEncoder(9, 6), decoder, "bernoulli")
    with pytest.raises(ValueError, match="Expected a built model"):
        model.export(tmp_path / ("m.tflite" if format == "litert" else "m"), format)
    assert list(tmp_path.iterdir()) == []


def test_model_of_images_of_any_size(tmp_path):
    encoder = keras.Sequential(
        [keras.Input((None, None, 1)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(6)]
    )
    model = zoo.VAE(encoder, networks.mlp_decoder(conformance.SHAPE, 3, hidden=(8,)), "bernoulli")
    with pytest.raises(ValueError, match="Expected `encoder` to be one of images of a fixed size. Received: "):
        model.export(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_network_of_the_users_own_that_cannot_be_saved_is_exported_all_the_same(tmp_path):
    class Own(keras.Model):  # without get_config
        def __init__(self, units):
            super().__init__()
            self.out = keras.layers.Dense(units)

        def call(self, x):
            return self.out(keras.layers.Flatten()(x))

    model = zoo.VAE(Own(6), networks.mlp_decoder(conformance.SHAPE, 3, hidden=(8,)), "bernoulli")
    x, _ = exports.images("vae")
    wanted = model.reconstruct(x).numpy()
    exports.assert_agree(exports.run(model.export(tmp_path), "reconstruct", {"image": x})["image"], wanted)


# The format that is meant


# Other tests here export to the first two without a format.
@pytest.mark.parametrize(
    "file, written",
    [
        pytest.param("m.tflite", "m.tflite", marks=pytest.mark.slow),
        pytest.param("m", "m/1", marks=pytest.mark.slow),
        ("m.v2", "m.v2/1"),
    ],
)
def test_format_is_read_off_the_ending_of_the_path(file, written, tmp_path):
    path = exports.trained("vae").export(tmp_path / file)
    assert path == tmp_path / written
    assert all(row["passed"] for row in zoo.export.check(path, exports.trained("vae")))


# Weights that training has spoilt


@pytest.mark.parametrize("value", (np.nan, np.inf, -np.inf))
@pytest.mark.parametrize("file", ("m", "m.tflite"))
def test_weights_that_are_not_finite(file, value, tmp_path):
    model = exports.make("vae")
    model(exports.images("vae")[0])
    weight = model.decoder.weights[0]
    weight.assign(np.where(np.arange(weight.shape[1]) < 2, value, weight))
    number, size = 2 * weight.shape[0], np.prod(weight.shape)
    match = f"Expected all weights to be finite. Received: {weight.path}, where {number} of {size} values are NaN or"
    with pytest.raises(ValueError, match=match):
        model.export(tmp_path / file)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=match):
        zoo.export.check(tmp_path / file, model)


# TFLite files


@pytest.mark.parametrize("before", (pytest.param(None, marks=pytest.mark.slow), "old"))
def test_tflite_that_disagrees_is_not_put_in_place(before, tmp_path, monkeypatch):
    path = tmp_path / "m.tflite"
    if before:
        path.write_text(before)
    run = runtimes.LiteRT.run
    monkeypatch.setattr(
        runtimes.LiteRT,
        "run",
        lambda self, *args, **kwargs: {
            name: value + np.float32(0.01) for name, value in run(self, *args, **kwargs).items()
        },
    )
    with pytest.raises(parity.ParityError, match="the LiteRT to agree with the model. .*not 0.0001 at most, in z"):
        exports.trained("vae").export(path, format="litert")
    assert list(tmp_path.iterdir()) == ([path] if before else [])
    assert not before or path.read_text() == before


def test_tflite_takes_the_place_of_another_with_its_report_and_vectors(tmp_path):
    path = tmp_path / "below" / "m.v2.tflite"
    path.parent.mkdir()
    path.write_text("old")
    assert exports.trained("vae").export(str(path), "litert") == path
    assert sorted(one.name for one in path.parent.iterdir()) == ["m.v2.golden.json", "m.v2.json", "m.v2.tflite"]
    assert flatbuffer.read_metadata(path)["model"] == "VAE"


# Mixed precision


def test_a_saved_model_is_not_written_within_the_scope_of_a_strategy(tmp_path):
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = zoo.VAE(zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ()))
        with pytest.raises(ValueError, match="Expected `export` outside of the scope of a strategy of replicas"):
            model.export(tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.fixture(scope="module")
def mixed():
    """Models trained in bfloat16, by name."""
    models = {}
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        for name in ("own_networks", "vq_vae_prior"):
            models[name] = exports.make(name)
            models[name].compile(run_eagerly=True)
            models[name].fit(exports.images(name)[0], verbose=0)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    return models


@pytest.mark.parametrize("name", ("own_networks", "vq_vae_prior"))
def test_copy_of_a_mixed_model_computes_in_float32_with_the_same_weights(name, mixed):
    model = mixed[name]
    copy = runtimes.in_float32(model)
    assert copy is not model and model.dtype_policy.name == "mixed_bfloat16"
    assert copy.encoder.compute_dtype == copy.decoder.compute_dtype == "float32"
    for one, two in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    x, _ = exports.images(name)
    np.testing.assert_allclose(copy.reconstruct(x), model.reconstruct(x), atol=0.02)


def test_model_in_float32_is_exported_itself():
    model = exports.trained("vae")
    assert runtimes.in_float32(model) is model


# The copy in float32, which is what is exported, is made before there is a format.
@pytest.mark.parametrize("format", (pytest.param("tf_saved_model", marks=pytest.mark.slow), "litert"))
@pytest.mark.parametrize("name", ("own_networks", pytest.param("vq_vae_prior", marks=pytest.mark.slow)))
def test_mixed_model_is_exported_in_float32(name, format, mixed, tmp_path):
    model = mixed[name]
    path = model.export(tmp_path / ("m.tflite" if format == "litert" else "m"), format)
    copy = runtimes.in_float32(model)
    x, _ = exports.images(name)
    received = exports.run(path, "reconstruct", {"image": x})["image"]
    exports.assert_agree(received, copy.reconstruct(x).numpy())
    received = exports.run(path, "sample", {"seed": exports.SEEDS, "temperature": np.ones(exports.ROWS, np.float32)})
    exports.assert_agree(received["image"], copy.sample(exports.ROWS, seed=exports.SEEDS).numpy())
    assert all(row["passed"] for row in zoo.export.check(path, model))


@pytest.mark.parametrize(
    ("metadata", "match"),
    [
        ("x", "Expected `metadata` to be a dict"),
        ({"quantization": "int4"}, "Expected `metadata` to be without 'quantization', which follows from the model"),
        ({"value_range": [0, 9]}, "Expected `metadata` to be without 'value_range'"),
        ({"name": 3}, r"Expected `metadata\['name'\]` to be a text"),
        ({"name": ""}, r"Expected `metadata\['name'\]` to be a text"),
        ({"loss": float("nan")}, "Expected `metadata` to be a dict that JSON can hold"),
    ],
)
def test_bad_metadata_leave_an_earlier_export_as_it_is(metadata, match, tmp_path):
    (tmp_path / "m.tflite").write_text("earlier")
    for name in ("m", "m.tflite"):
        refused(tmp_path / name, match, metadata=metadata)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("m.tflite", "earlier")]


@pytest.mark.parametrize("path", ["gs://bucket/model", "s3://bucket/model.tflite", "~/model", ""])
def test_what_is_no_path_of_this_machine_is_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(path, "Expected `path` to be a path of this machine, without ~")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["m.json", "m.golden.json"])
def test_a_file_of_the_users_own_beside_a_tflite_file_stays(name, tmp_path):
    (tmp_path / name).write_text("mine")
    refused(tmp_path / "m.tflite", f"`path` to be a name beside which there is no {name}, as the export writes one")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["mine"]


def test_a_saved_model_and_onnx_files_have_folders_of_their_own(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "encode.onnx").write_text("earlier")
    refused(tmp_path / "m", "Expected `path` to be another folder than that of an ONNX export")


def test_further_signatures_are_checked_by_cases_of_their_own(tmp_path):
    double = signatures.Signature(lambda x: {"y": 2.0 * x}, {"x": tf.TensorSpec((None,), tf.float32, "x")})
    cases = {"double": {"x": np.ones(3, np.float32)}}
    for more, more_cases, match in (
        ({"double": 3}, cases, r"`more\['double'\]` to be a zoo.export.signatures.Signature. Received: .*3"),
        ({"encode": double}, {"encode": cases["double"]}, "`more` to be of other names than those of .*'encode'"),
        ({"sample_observed": double}, cases, "`more` to be of other names than those of .*'sample_observed'"),
        ({"double": double}, None, r"`more_cases` to be inputs for each of the further signatures, \['double'\]"),
        (None, cases, "`more_cases` to be inputs for each of the further signatures"),
    ):
        refused(tmp_path / "m", match, more=more, more_cases=more_cases)


def test_what_is_no_version_of_64_bits_is_the_folder_of_a_model(tmp_path):
    for name in ("01", "9" * 23):
        assert not saved_model.is_version(tmp_path / name)
    assert saved_model.is_version(tmp_path / "7") and saved_model.is_version(tmp_path / "0")


def test_no_model_is_put_within_a_version_of_another(tmp_path):
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "saved_model.pb").write_text("earlier")
    refused(tmp_path / "m" / "1" / "below", "`path` to be a place outside of .*1, which is a version of a model")


def test_an_export_of_another_model_is_named(tmp_path):
    path = exports.trained("vae").export(tmp_path / "m.tflite")
    encoder, decoder = networks.mlp_encoder((8, 8, 1), 7, (8,)), networks.mlp_decoder((8, 8, 1), 7, (8,))
    with pytest.raises(ValueError, match="Expected `path` to be an export of this VAE. Received: .*take its data"):
        zoo.export.check(path, zoo.VAE(encoder, decoder, seed=0))
