"""The page of `explore` in a headless Chromium: as a file, and served with a model that LiteRT.js decodes."""

import json
import pathlib
import shutil
import subprocess

import browser
import numpy as np
import pytest
import tiny_models

from zoo.applications import explore, site

X = np.random.default_rng(0).uniform(size=(12, 4, 4, 1)).astype("float32")
LABELS = np.repeat([2, 0, 1], 4).astype(np.int32)

pytestmark = browser.MARKS


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The folder of a page, and of node_modules with LiteRT.js and Playwright."""
    folder = tmp_path_factory.mktemp("page")
    for path in (pathlib.Path(__file__).parents[2] / "examples" / "web").glob("package*.json"):
        shutil.copyfile(path, folder / path.name)
    shutil.copyfile(pathlib.Path(__file__).with_name("explore_page.mjs"), folder / "explore_page.mjs")
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=600)
    explore(tiny_models.cvae(latents=3), X, LABELS, folder / "page.html", num_latents=3, num_steps=5)
    return folder


def drive(folder, address):
    command = ["node", "explore_page.mjs", "--chromium", browser.CHROMIUM, "--page", address]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["problems"], found["error"]) == ([], "")
    return found


def levels(image):
    return np.round(255 * np.asarray(image)).ravel()


def test_a_file_shows_images_and_stored_frames_and_asks_for_nothing_else(page):
    address = (page / "page.html").as_uri()
    found = drive(page, address)
    assert (found["state"], found["requests"]) == ("stored", [address])
    model = tiny_models.cvae(latents=3)
    assert found["hovered"]["chosen"] == "Example 5, label 0"
    np.testing.assert_array_equal(found["hovered"]["image"], levels(X[5]))
    reconstructed = model.reconstruct(X, LABELS)
    np.testing.assert_allclose(found["hovered"]["reconstruction"], levels(reconstructed[5]), atol=1)
    mean = model.decode(np.zeros((1, 3), "float32"), LABELS[:1])
    np.testing.assert_allclose(found["first"]["decoded"], levels(mean), atol=1)
    assert found["slid"]["sliders"] == ["3.00 sd", "0.00 sd", "0.00 sd"]
    assert np.abs(np.subtract(found["slid"]["decoded"], found["first"]["decoded"])).max() > 2


def test_a_served_page_decodes_any_position_as_the_model_does(page, tmp_path):
    model = tiny_models.cvae(latents=3)
    model.export(tmp_path / "model.tflite")
    folder = site(tmp_path / "site", page / "page.html", tmp_path / "model.tflite", page / "node_modules")
    with browser.served(folder) as address:
        found = drive(page, f"{address}/")
    assert found["state"] == "live"
    for last, label, shown in ((found["decoded"], LABELS[0], "slid"), (found["live"], LABELS[5], "clicked")):
        assert last["labels"] == [label]
        decoded = model.decode(np.float32([last["z"]]), np.array([label]))
        np.testing.assert_allclose(last["image"], np.ravel(decoded), atol=1e-4)
        np.testing.assert_allclose(found[shown]["decoded"], levels(decoded), atol=1)
    moved = np.subtract(found["live"]["z"], model.embed(X[5:6], LABELS[5:6])[0])
    assert np.count_nonzero(np.abs(moved) > 1e-3) == 1
