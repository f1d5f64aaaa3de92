"""The examples that sample in Python draw what the exported files draw, and import no more than they say."""

import os
import subprocess
import sys

import exported
import numpy as np
import pytest

LITERT = exported.EXAMPLES / "litert_sample.py"
TENSORFLOW = exported.EXAMPLES / "tensorflow_sample.py"

# Runs a script as if some packages were not installed: an import of what is None in sys.modules fails.
WITHOUT = """
import runpy, sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_without(absent, script, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(script.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", WITHOUT, ",".join(absent), script, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_litert_sample(tflite_file, load_example, tmp_path):
    pytest.importorskip("ai_edge_litert")
    output = tmp_path / "samples.png"
    flags = ["--seed", "7", "--number", "3", "--temperature", "0.8", "--output", str(output)]
    load_example(LITERT).main([str(tflite_file), *flags, *exported.label_flags(tflite_file)])
    expected = exported.run_tflite(tflite_file, exported.make_inputs(tflite_file, [7, 8, 9], 0.8))
    exported.check_png(output, expected["image"])


def test_tensorflow_sample(version_folder, load_example, tmp_path):
    output = tmp_path / "samples.png"
    # What a user names is the folder of a version or the model's; `test_highest_version_is_taken` has the rest.
    folder = version_folder if exported.is_conditional(version_folder) else version_folder.parent
    flags = ["--seed", "-2", "--number", "5", "--temperature", "0.8", "--output", str(output)]
    load_example(TENSORFLOW).main([str(folder), *flags, *exported.label_flags(version_folder)])
    inputs = exported.make_inputs(version_folder, [-2, -1, 0, 1, 2], 0.8)
    exported.check_png(output, exported.run_saved_model(version_folder, inputs)["image"])


def test_both_draw_from_the_same_latents(version_folder, load_example):
    """Quantised weights change the picture a little; what is drawn before any weight is the same."""
    tflite_file = version_folder.parent / "model_int8.tflite"
    if not tflite_file.exists():
        pytest.skip("Not exported for phones")
    pytest.importorskip("ai_edge_litert")
    inputs = exported.make_inputs(version_folder, [0, 1], 1)
    one = load_example(LITERT).sample(str(tflite_file), inputs)
    other = load_example(TENSORFLOW).sample(version_folder, inputs)
    if "codes" in one:
        assert np.mean(one["codes"] == other["codes"]) > 0.8
    else:
        # Hierarchical models draw each layer's z from weights.
        close = np.isclose(one["z"], other["z"], atol=1e-4)
        assert close.all() or "hvae" in str(version_folder)


def test_litert_sample_needs_litert_and_numpy_alone(tflite_file, tmp_path):
    pytest.importorskip("ai_edge_litert")
    output = tmp_path / "samples.png"
    flags = ["--number", "1", "--output", output, *exported.label_flags(tflite_file)]
    done = run_without(["tensorflow", "keras", "zoo", "matplotlib", "PIL"], LITERT, tflite_file, *flags)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"1 images in {output}\n"


@pytest.mark.long
def test_tensorflow_sample_needs_neither_keras_nor_zoo(version_of_each_kind, tmp_path):
    version_folder = version_of_each_kind
    output = tmp_path / "samples.png"
    flags = ["--number", "1", "--output", output, *exported.label_flags(version_folder)]
    done = run_without(["keras", "zoo", "matplotlib", "PIL"], TENSORFLOW, version_folder, *flags)
    assert done.returncode == 0, done.stderr
    assert output.exists()


def test_highest_version_is_taken(load_example, tmp_path):
    for name in ("2", "10", "next"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").touch()
    assert load_example(TENSORFLOW).find_version(tmp_path) == tmp_path / "10"


def test_folder_without_a_model(load_example, tmp_path):
    with pytest.raises(SystemExit, match="expected saved_model.pb there"):
        load_example(TENSORFLOW).main([str(tmp_path)])


def test_file_that_is_no_model(load_example, tmp_path):
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "model.tflite").write_text("This is not a model.")
    with pytest.raises(SystemExit, match=r"expected a \.tflite"):
        load_example(LITERT).main([str(tmp_path / "model.tflite")])


def test_label_where_it_belongs(version_folder, load_example):
    conditional = exported.is_conditional(version_folder)
    flags, message = ([], "needs --label") if conditional else (["--label", "3"], "takes no --label")
    with pytest.raises(SystemExit, match=message):
        load_example(TENSORFLOW).main([str(version_folder), *flags])


@pytest.mark.parametrize(
    "flags",
    (["--number", "0"], ["--seed", "2147483647"], ["--temperature", "-1"], ["--temperature", "nan"], ["--label", "-1"]),
    ids=" ".join,
)
def test_values_out_of_range(load_example, flags):
    with pytest.raises(SystemExit, match=f"{flags[0]}: expected"):
        load_example(TENSORFLOW).main(["nowhere", *flags])
