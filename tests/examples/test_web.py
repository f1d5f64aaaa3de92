"""The page of examples/web gives what the .tflite files give in Python, in a headless Chromium."""

import json
import shutil
import subprocess

import browser
import exported
import numpy as np
import pytest

interpreter = pytest.importorskip("ai_edge_litert.interpreter")

WEB = exported.EXAMPLES / "web"

pytestmark = browser.MARKS


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the page and what it depends on, and the address at which it is served."""
    folder = tmp_path_factory.mktemp("site")
    page = folder / "examples" / "web"
    shutil.copytree(WEB, page, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=page, check=True, timeout=600)
    with browser.served(folder) as address:
        yield folder, address


def drive(site, file, *flags):
    """What the page did with a model, as test.mjs tells it."""
    folder, address = site
    shutil.copyfile(file, folder / "model.tflite")
    wrong = folder / "wrong.tflite"
    wrong.write_text("This is not a model.")
    command = ["node", "test.mjs", "--chromium", browser.CHROMIUM, "--page", f"{address}/examples/web/"]
    command += ["--model", "/model.tflite", "--good", folder / "model.tflite", "--wrong", wrong, *flags]
    run = subprocess.run(command, cwd=folder / "examples" / "web", capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def check(model, results):
    """Every signature that ran gave what Python makes of the same inputs; their names."""
    for signature, (inputs, outputs) in results.items():
        runner = model.get_signature_runner(signature)
        details = runner.get_input_details()
        assert set(inputs) == set(details)
        arrays = {k: np.array(inputs[k], v["dtype"]).reshape(v["shape"]) for k, v in details.items()}
        for name, expected in runner(**arrays).items():
            given = np.array(outputs[name], expected.dtype).reshape(expected.shape)
            message = f"{name} of {signature}"
            if expected.dtype == np.int32:
                np.testing.assert_array_equal(given, expected, message)
            elif name == "log_prob":
                np.testing.assert_allclose(given, expected, rtol=1e-5, err_msg=message)
            else:
                atol = 1e-5 if name == "z" else 1e-4
                np.testing.assert_allclose(given, expected, rtol=0, atol=atol, err_msg=message)
    return set(results)


def test_the_page_gives_what_python_gives(site, tflite_file):
    model = interpreter.Interpreter(str(tflite_file))
    has = set(model.get_signature_list()) - {"serving_default"}
    results = drive(site, tflite_file)
    assert (results["state"], results["error"], results["unhandled"]) == ("ready", "", [])
    # Without a prior the page begins with the image of zeros.
    assert check(model, results["sampled"]) == ({"sample"} if "sample" in has else {"decode"})
    if "sample" in has:
        inputs, outputs = results["sampled"]["sample"]
        assert (inputs["seed"], inputs["temperature"], inputs.get("labels", [3])) == ([0], [1], [3])

    # One latent or code was changed by hand, and then a stroke drawn.
    assert results["drawn_state"] == "ready"
    assert check(model, results["drawn"]) == has
    inputs = results["drawn"]["decode"][0]
    if "sample" in has:
        kind = "codes" if "codes" in inputs else "z"
        changed = np.flatnonzero(np.array(inputs[kind]) != outputs[kind])
        assert set(changed) <= {2} and np.isclose(inputs[kind][2], 1 if kind == "codes" else 1.5)
    image = np.array(results["drawn"]["encode"][0]["image"])
    assert (image.min(), image.max()) == (0, 1) and 0.02 < image.mean() < 0.3

    encoded = results["drawn"]["encode"][1]
    decoded = results["used"]["decode"][0]
    assert decoded.get("codes") == encoded.get("codes") and decoded.get("z") == encoded.get("mean")
    check(model, results["used"])

    wrong = results["wrong"]
    assert wrong["state"] == "error" and wrong["visible"] and wrong["error"] == "wrong.tflite is not a .tflite file."
    good = results["good"]
    assert good["state"] == "ready" and not good["visible"]
    assert good["last"].get("sample") == results["sampled"].get("sample")
    assert results["missing"]["state"] == "error" and "404" in results["missing"]["error"]
    if "sample" in has:
        assert results["bad_seed"]["state"] == "error" and "2147483647" in results["bad_seed"]["error"]
