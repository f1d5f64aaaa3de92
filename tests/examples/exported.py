"""What the exported files themselves give for a seed, and what a picture holds: the measure of every example."""

import functools
import pathlib

import numpy as np
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LABEL = 3


@functools.lru_cache
def is_conditional(model):
    """Whether a version folder or a .tflite samples by label."""
    if model.suffix == ".tflite":
        return "labels" in make_runner(model).get_input_details()
    return "labels" in load(model).signatures["sample"].structured_input_signature[1]


def label_flags(model):
    """What a command line needs beside seed and temperature for this model."""
    return ["--label", str(LABEL)] if is_conditional(model) else []


def make_inputs(model, seeds, temperature):
    inputs = {"seed": np.int32(seeds), "temperature": np.full(len(seeds), temperature, np.float32)}
    if is_conditional(model):
        inputs["labels"] = np.full(len(seeds), LABEL, np.int32)
    return inputs


@functools.lru_cache
def load(version_folder):
    return tf.saved_model.load(version_folder)


def run_saved_model(version_folder, inputs, signature="sample"):
    function = load(version_folder).signatures[signature]
    outputs = function(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def make_runner(file):
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(file), num_threads=1).get_signature_runner("sample")


def run_tflite(file, inputs):
    runner = make_runner(file)
    rows = [runner(**{name: value[i : i + 1] for name, value in inputs.items()}) for i in range(len(inputs["seed"]))]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def cut(picture, number, height, width):
    """The first images of a grid as near to a square as it goes."""
    columns = picture.shape[1] // width
    assert columns == int(np.ceil(np.sqrt(number)))
    assert picture.shape[:2] == (-(-number // columns) * height, columns * width)
    for i in range(number):
        top, left = i // columns * height, i % columns * width
        yield picture[top : top + height, left : left + width]


def check_pixels(pixels, image):
    """A byte a pixel, at most one step from the image in [0, 1]."""
    assert np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1
    assert pixels.shape == image.shape
    assert np.abs(pixels / 255 - image).max() <= 1 / 255


def check_png(path, images):
    picture = tf.io.decode_png(path.read_bytes()).numpy()
    assert picture.shape[-1] == images.shape[-1]
    for pixels, image in zip(cut(picture, *images.shape[:3]), images, strict=True):
        check_pixels(pixels, image)


def read_netpbm(path):
    header, content = path.read_bytes().split(b"\n", 1)
    kind, width, height, most = header.split()
    assert most == b"255"
    return np.frombuffer(content, np.uint8).reshape(int(height), int(width), {b"P5": 1, b"P6": 3}[kind])
