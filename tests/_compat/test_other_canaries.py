"""tf2onnx, TFDS and xdist still have the parts, and the faults, that zoo._compat and the tests know of."""

import importlib.metadata
import inspect
import logging

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
import tf2onnx
from xdist.scheduler import LoadFileScheduling

from zoo._compat import onnx as onnx_compat
from zoo._compat import tfds as tfds_compat
from zoo.data import sources

SPECS = [tf.TensorSpec((None,), tf.float32, "x")]


@pytest.mark.parametrize("function, wanted", [(tf.math.log1p, np.log1p), (tf.math.expm1, np.expm1)])
def test_tf2onnx_has_no_log1p_and_no_expm1(function, wanted, caplog):
    call = tf.function(lambda x: {"y": function(x)}, autograph=False)
    name = wanted.__name__.capitalize()
    with caplog.at_level(logging.ERROR, "tf2onnx"):
        plain, _ = tf2onnx.convert.from_function(call, SPECS, 18)
    assert name in [node.op_type for node in plain.graph.node], f"tf2onnx has {name}: remove its handler"
    assert "not supported" in caplog.text, "tf2onnx no longer logs it: remove _silent"
    caplog.clear()
    file = onnx_compat.convert(call, SPECS, 18)
    assert caplog.text == ""
    session = onnxruntime.InferenceSession(file.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.float32([-0.5, 1e-20, 0.0, 3.0])
    np.testing.assert_allclose(session.run(["y"], {"x": x})[0], wanted(x), rtol=1e-6)


def test_records_hold_the_examples_of_tfds_in_their_order():
    builder = tfds.builder("mnist", data_dir=sources.SAMPLE_DIR)
    path = tfds_compat.single_record_file(builder, "test")
    (record,) = tf.data.TFRecordDataset(path).take(1)
    columns = {"image": tf.io.FixedLenFeature((), tf.string), "label": tf.io.FixedLenFeature((), tf.int64)}
    found = tf.io.parse_single_example(record, columns)
    (wanted,) = builder.as_dataset(split="test", shuffle_files=False).take(1)
    np.testing.assert_array_equal(tf.io.decode_image(found["image"]), wanted["image"])
    assert found["label"] == wanted["label"]
    assert tfds_compat.single_record_file(builder, "test[:10]") is None


def test_tfds_does_not_declare_importlib_resources():
    """https://github.com/tensorflow/datasets/issues/11212 (open)."""
    (needed,) = [line for line in importlib.metadata.requires("tensorflow-datasets") if "importlib_resources" in line]
    assert 'python_version < "3.9"' in needed, "It does: remove importlib-resources from setup.cfg"


def test_xdist_groups_tests_by_what_split_scope_gives():
    """It is overridden in tests/conftest.py."""
    assert list(inspect.signature(LoadFileScheduling._split_scope).parameters) == ["self", "nodeid"]
    assert LoadFileScheduling._split_scope(None, "tests/a.py::test_b") == "tests/a.py"
