"""Every model as a preset: its SavedModel holds the weights, and `from_preset` gives the same model."""

import shutil

import exports
import numpy as np
import pytest

import zoo
from zoo import presets

# The rest differ in their configuration. tests/presets/test_shipped.py loads a preset of a hierarchical VAE.
QUICK = ("vae", "cvae", "vq_vae_prior")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in exports.NAMES]
)
def test_a_preset_gives_the_same_model(exported, tmp_path, name):
    version = exported(name)
    shutil.copytree(version, tmp_path / "1")
    model = exports.trained(name)
    presets.add_manifest(tmp_path, model, "1", {"name": name, "description": "a test", "license": "Apache-2.0"})
    loaded = zoo.from_preset(tmp_path)
    assert type(loaded) is type(model)
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other), err_msg=one.path)
    x, labels = exports.images(name, 3)
    own = (labels,) if exports.ENTRIES[name].conditional else ()
    np.testing.assert_array_equal(loaded.embed(x, *own), model.embed(x, *own))
    if exports.has_prior(name):
        drawn = {"labels": labels} if exports.takes_labels(name, "sample") else {}
        np.testing.assert_array_equal(loaded.sample(3, seed=7, **drawn), model.sample(3, seed=7, **drawn))
    # No weight is stored twice.
    rest = np.load(tmp_path / "rest.npz")
    assert sum(value.nbytes for value in rest.values()) < 0.5 * sum(np.asarray(each).nbytes for each in model.weights)
