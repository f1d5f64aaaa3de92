"""Files that earlier versions wrote load, and give what they gave: `make.py` says what they are and adds a version's.

Of TensorFlow's functions nothing is traced here: that would take most of the time.
"""

import keras
import make  # with it come the path to the conformance suite, and its registered networks
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

FILES = sorted(make.HERE.glob("*/*.keras"))
SAVED_MODELS = sorted(path.parent for path in make.HERE.glob("*/*/1/saved_model.pb"))
LITE = sorted(make.HERE.glob("*/*.tflite"))


def name_of(path):
    return str(path.relative_to(make.HERE))


# Each has a class, a likelihood or a quantizer that another file has too.
REPEATED = ("beta_vae", "capacity", "hierarchical_vae", "vq_vae", "vq_vae_gradient")
QUICK = [pytest.param(path, marks=pytest.mark.slow) if path.stem in REPEATED else path for path in FILES]

# TensorFlow's, on tf.data, which is to stay as it is.
pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`")


@pytest.fixture(autouse=True)
def nothing_traced():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def recorded(path):
    with np.load(path) as file:
        found = dict(file)
    return {key: found.pop(key) for key in ("x", "labels", "seeds", "temperature")}, found


def load(path):
    model = keras.saving.load_model(path)
    model.run_eagerly = True
    if getattr(model, "prior", None) is not None:
        model.prior.run_eagerly = True
    return model


def assert_same(received, wanted, message):
    """Integers are the same, and floats within 1e-5 of max(1, |wanted|)."""
    received = np.asarray(received)
    assert received.shape == wanted.shape and received.dtype.kind == wanted.dtype.kind, message
    if wanted.dtype.kind == "i":
        np.testing.assert_array_equal(received, wanted, err_msg=message)
    else:
        difference = np.abs(received - wanted) / np.maximum(1.0, np.abs(wanted))
        assert np.all(difference <= 1e-5), f"{message}: {np.max(difference)}"


def test_files_of_the_first_version_are_all_there():
    names = {path.stem for path in FILES if path.parent.name == "0.1.0"}
    assert names == {
        "vae", "own_networks", "beta_vae", "capacity", "cvae", "hierarchical_vae", "hierarchical_vae_mixture", "vq_vae",
        "vq_vae_gradient", "vq_vae_prior", "vq_vae_fsq", "vq_vae_residual", "vq_vae_labels",
    }  # fmt: skip
    exported = {"vae", "cvae", "hierarchical_vae_mixture", "vq_vae_prior"}
    assert {path.stem for path in LITE if path.parent.name == "0.1.0"} == exported
    assert {path.parent.name for path in SAVED_MODELS if path.parts[-3] == "0.1.0"} == exported


def test_files_of_a_version_are_small():
    for version in make.HERE.glob("[0-9]*"):
        assert sum(path.stat().st_size for path in version.rglob("*") if path.is_file()) < 3 * 2**20


@pytest.mark.parametrize("path", QUICK, ids=name_of)
def test_model_loads_and_gives_what_it_gave(path):
    inputs, wanted = recorded(path.with_suffix(".npz"))
    model = load(path)
    as_saved = model.get_weights()  # of which `evaluate` moves the state of the noise on
    received = make.outputs(model, **inputs)
    model.set_weights(as_saved)
    received |= make.next_losses(model, inputs["x"], inputs["labels"])
    assert set(received) >= set(wanted)  # later versions may say more
    for key, value in wanted.items():
        assert_same(received[key], value, f"{path.stem}: {key}")


def expected(path):
    """Of each signature of an exported model, the inputs and outputs recorded of the model itself."""
    inputs, wanted = recorded(path)
    own = {"labels": inputs["labels"]} if path.stem == "cvae" else {}
    x, seeds = inputs["x"], inputs["seeds"]
    encoded = {
        key: np.concatenate([np.reshape(wanted[name], (len(x), -1)) for name in sorted(wanted) if fits(name, key)], 1)
        for key in ("mean", "log_var")
        if any(fits(name, key) for name in wanted)
    }
    encoded |= {"codes": wanted["encode_codes"]} if "encode_codes" in wanted else {}
    latents = {"codes": encoded["codes"]} if "codes" in encoded else {"z": encoded["mean"]}
    return {
        "serving_default": ({"image": x, **own}, {"image": wanted["reconstruct"]}),
        "reconstruct": ({"image": x, **own}, {"image": wanted["reconstruct"]}),
        "encode": ({"image": x, **own}, encoded),
        "decode": ({**latents, **own}, {"image": wanted["decode"]}),
        "sample": (
            {"seed": seeds, "temperature": np.full(len(seeds), inputs["temperature"]), **own},
            {"image": wanted["sample"]},
        ),
        "log_prob": ({"image": x, "seed": seeds, **own}, {"log_prob": wanted["log_prob"]}),
    }


def fits(name, key):
    return name.startswith("encode_") and name.endswith(f"_{key}")


def assert_signatures(path, run):
    for signature, (inputs, wanted) in expected(path).items():
        received = run(signature, inputs)
        for key, value in wanted.items():
            assert_same(received[key], value, f"{path.stem}: {key} of {signature}")


@pytest.mark.parametrize("folder", SAVED_MODELS, ids=name_of)
def test_saved_model_loads_and_gives_what_the_model_gave(folder):
    loaded = tf.saved_model.load(str(folder))

    def run(signature, inputs):
        return loaded.signatures[signature](**{name: tf.constant(value) for name, value in inputs.items()})

    assert_signatures(folder.parent.with_suffix(".npz"), run)


@pytest.mark.parametrize("path", LITE, ids=name_of)
def test_tflite_file_loads_and_gives_what_the_model_gave(path):
    interpreter = Interpreter(str(path), num_threads=1)

    def run(signature, inputs):
        runner = interpreter.get_signature_runner(signature)
        number = len(next(iter(inputs.values())))
        rows = [runner(**{name: value[i : i + 1] for name, value in inputs.items()}) for i in range(number)]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    assert_signatures(path.with_suffix(".npz"), run)
