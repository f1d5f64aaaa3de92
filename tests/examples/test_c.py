"""The C programs compile without a warning, and draw what the exported files draw in Python."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import exported
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(not (shutil.which("make") and shutil.which("cc")), reason="needs make and a C compiler")


def build(name, package, library, folder):
    """The program of examples/<name>, linked to a library in an installed package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not pathlib.Path(spec.submodule_search_locations[0], library).exists():
        pytest.skip(f"{package} is not installed with {library}")
    command = ["make", "-C", exported.EXAMPLES / name, f"PYTHON={sys.executable}", f"BUILD={folder}"]
    if shutil.which("ld.gold"):
        command.append("LDFLAGS=-fuse-ld=gold")
    subprocess.run([*command, "CFLAGS=-O2 -Wall -Wextra -Werror"], check=True, timeout=300)
    return folder / "sample"


@pytest.fixture(scope="module")
def on_litert(tmp_path_factory):
    return build("c_litert", "ai_edge_litert", "libLiteRt.so", tmp_path_factory.mktemp("c_litert"))


@pytest.fixture(scope="module")
def on_tensorflow(tmp_path_factory):
    return build("c_tensorflow", "tensorflow", "libtensorflow_cc.so.2", tmp_path_factory.mktemp("c_tensorflow"))


def run(program, *arguments):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    return subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, timeout=300)


def check_sample(program, model, expected, tmp_path):
    """The program's picture and what it prints, for seed −5 and temperature 0.7."""
    picture = tmp_path / "sample.ppm"
    flags = ["--seed", "-5", "--temperature", "0.7", "--output", picture]
    done = run(program, model, *flags, *exported.label_flags(model))
    assert done.returncode == 0, done.stderr
    exported.check_pixels(exported.read_netpbm(picture), expected["image"][0])
    kind, *values = done.stdout.replace("...", "").split()
    if kind == "codes":
        assert [int(value) for value in values] == expected["codes"].ravel().tolist()
    else:
        np.testing.assert_allclose(np.float32(values), expected["z"][0, :8], atol=1e-5)


def test_litert(on_litert, tflite_file, tmp_path):
    expected = exported.run_tflite(tflite_file, exported.make_inputs(tflite_file, [-5], 0.7))
    check_sample(on_litert, tflite_file, expected, tmp_path)


@pytest.mark.long
def test_tensorflow(on_tensorflow, version_of_each_kind, tmp_path):
    version_folder = version_of_each_kind
    expected = exported.run_saved_model(version_folder, exported.make_inputs(version_folder, [-5], 0.7))
    check_sample(on_tensorflow, version_folder, expected, tmp_path)


def test_label_where_it_belongs(on_litert, tflite_file):
    conditional = exported.is_conditional(tflite_file)
    flags, message = ([], "needs --label") if conditional else (["--label", "3"], "takes no --label")
    done = run(on_litert, tflite_file, *flags)
    assert done.returncode == 1 and message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    (
        ([], "usage: "),
        (["model", "--seed"], "Expected a value after --seed"),
        (["model", "--seed", "7x"], "--seed takes a whole number from -2147483648 to 2147483647. Received: 7x"),
        (["model", "--seed", "2147483648"], "--seed takes a whole number"),
        (["model", "--label", "-1"], "--label takes a whole number from 0"),
        (["model", "--temperature", "nan"], "--temperature takes a number from 0 up. Received: nan"),
        (["model", "--sead", "7"], "Unknown flag --sead"),
        (["nowhere.tflite"], "nowhere.tflite: not a TFLite model"),
    ),
)
def test_errors(on_litert, arguments, message):
    done = run(on_litert, *arguments)
    assert done.returncode == 1 and f"error: {message}" in done.stderr


def test_folder_without_a_model(on_tensorflow, tmp_path):
    done = run(on_tensorflow, tmp_path)
    assert done.returncode == 1 and "error: TensorFlow: Could not find SavedModel" in done.stderr
