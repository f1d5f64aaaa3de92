"""Models to export, what they say themselves, and exported files run by their runtimes alone."""

import functools
import pathlib
import sys

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers

import zoo
from zoo import networks
from zoo._compat import flatbuffer

sys.path.append(str(pathlib.Path(__file__).parents[1] / "conformance"))
import conformance  # noqa: E402

FORMATS = ("tf_saved_model", "litert")
# The ends of the range of seeds, and one seed at three temperatures.
SEEDS = np.int32([0, -1, 2**31 - 1, -(2**31), 7, 7, 7])
TEMPERATURES = np.float32([1.0, 1.0, 1.0, 1.0, 1.0, 0.7, 0.0])
ROWS = len(SEEDS)
CLASSES = 3  # of the conditional prior


def _labelled_prior():
    prior = zoo.priors.PixelCNN(12, (2, 2), CLASSES, width=6, depth=1, kernel_size=3)
    quantizer = zoo.quantizers.VectorQuantizer(12, 6)
    return zoo.VQVAE(
        networks.residual_encoder(conformance.SHAPE, 6, 8, blocks=1),
        networks.residual_decoder((2, 2, 6), 1, 8, blocks=1),
        quantizer,
        zoo.likelihoods.Bernoulli(),
        prior=prior,
    )


def transposed(*middle):
    """A VAE as in many tutorials, and large enough that its weights make up most of the file."""
    middle = middle or [layers.Conv2DTranspose(64, 3, 2, "same", activation="relu")]
    first = [layers.Input((4,)), layers.Dense(2 * 2 * 64), layers.Reshape((2, 2, 64))]
    decoder = keras.Sequential([*first, *middle, layers.Conv2DTranspose(1, 3, 2, "same")])
    return zoo.VAE(networks.mlp_encoder(conformance.SHAPE, 4, hidden=(256,)), decoder, "bernoulli", seed=3)


ENTRIES = conformance.ENTRIES | {
    "vq_vae_labels": conformance.Entry(_labelled_prior, {}),
    "transposed": conformance.Entry(transposed, {}, latents=((4,),)),
}
# Of images: test_exports_of_rows.py has rows, and tests/models have clips and sentences.
ENTRIES = {name: entry for name, entry in ENTRIES.items() if entry.data is None}
NAMES = list(ENTRIES)
# Exported they are alike to others: what is exported of a BetaVAE is a VAE, with an "optimal" scale one with a learned
# scale, and tests/models/test_cvae_attributes.py exports a CVAE of attributes. The VQ-VAE is exported with each prior
# over its codes, and tests/export/test_exporter.py and tests/models/test_own_parts.py export networks of a user's own.
# README.md exports a VAE with a flow, and tests/priors/latents/test_in_models.py one with a prior of a user's own.
ALIKE = ("beta_vae", "capacity", "cvae_attributes", "own_networks", "vae_flow", "vae_vamp", "vq_vae")
QUICK = [name for name in NAMES if name not in (*conformance.VARIANTS, *ALIKE)]
PARAMS = conformance.params(NAMES, QUICK)


def takes_labels(name, signature):
    return ENTRIES[name].conditional or (name == "vq_vae_labels" and signature in ("sample", "log_prob"))


def is_discrete(name):
    return name.startswith("vq")


def has_prior(name):
    return not is_discrete(name) or name in ("vq_vae_prior", "vq_vae_labels")


def make(name):
    keras.utils.set_random_seed(0)
    return ENTRIES[name].make()


@functools.cache
def trained(name):
    """After two steps: biases, codebooks and averages are no longer what they were made as."""
    model = make(name)
    model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
    x, classes = conformance.images(16)
    x = (x, conformance.labels_of(ENTRIES[name], classes)) if ENTRIES[name].conditional else (x,)
    model.fit(*x, batch_size=8, shuffle=False, verbose=0)
    if is_discrete(name) and has_prior(name):
        draw = np.random.default_rng(2)
        for weight in model.prior.trainable_weights:
            weight.assign_add(draw.normal(0, 0.3, weight.shape))
    return model


def images(name, number=ROWS):
    """Images, and labels that the model takes."""
    x, classes = conformance.images(number, seed=1)
    return x, classes % CLASSES if name == "vq_vae_labels" else conformance.labels_of(ENTRIES[name], classes)


def flatten(parts):
    """Layers of a hierarchical VAE, top first, behind one another; else the only ones."""
    return np.concatenate([np.reshape(part, (len(part), -1)) for part in parts], axis=1)


def decode(name, latents, labels):
    """`model.decode` of the flat latents of a signature."""
    model, shapes = trained(name), ENTRIES[name].latents
    if isinstance(model, zoo.HierarchicalVAE):
        ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
        latents = [
            part.reshape(-1, *shape) for part, shape in zip(np.split(latents, ends, axis=1), shapes, strict=True)
        ]
    return model.decode(latents, **labels).numpy()


def latent_width(name):
    return int(sum(np.prod(shape) for shape in ENTRIES[name].latents))


@functools.cache
def expected(name):
    """By signature, inputs and what the methods of the model give for them: dict of names to pairs of dicts."""
    model, entry = trained(name), ENTRIES[name]
    x, labels = images(name)
    own = {"labels": labels} if entry.conditional else {}
    drawn = {"labels": labels} if takes_labels(name, "sample") else {}
    encoded = model.encode(x, **own)
    random = np.random.default_rng(3)
    if is_discrete(name):
        posterior = {"codes": encoded.numpy()}
        shape = (ROWS, *entry.codes_shape)
        latents = {"codes": random.integers(0, model.quantizer.num_codes, shape).astype(np.int32)}
    else:
        parts = encoded if isinstance(encoded, list) else [encoded]
        posterior = {key: flatten([part[key] for part in parts]) for key in ("mean", "log_var")}
        latents = {"z": random.normal(size=(ROWS, latent_width(name))).astype(np.float32)}
    (flat,) = latents.values()
    found = {
        "reconstruct": ({"image": x, **own}, {"image": model.reconstruct(x, **own).numpy()}),
        "encode": ({"image": x, **own}, posterior),
        "decode": ({**latents, **own}, {"image": decode(name, flat, own)}),
    }
    if has_prior(name):
        # One temperature a call, as `sample` takes one.
        sampled = np.empty_like(x)
        for temperature in np.unique(TEMPERATURES):
            rows = np.flatnonzero(temperature == TEMPERATURES)
            of_rows = {key: value[rows] for key, value in drawn.items()}
            sampled[rows] = model.sample(len(rows), seed=SEEDS[rows], temperature=float(temperature), **of_rows)
        if is_discrete(name):
            outputs = {"image": sampled, "codes": model.prior.draw(SEEDS, TEMPERATURES, **drawn).numpy()}
        else:
            outputs = {"image": sampled, "z": None}  # the one of which the image is made
        found["sample"] = ({"seed": SEEDS, "temperature": TEMPERATURES, **drawn}, outputs)
        log_prob = model.log_prob(x, 1, SEEDS, **drawn).numpy()
        found["log_prob"] = ({"image": x, "seed": SEEDS, **drawn}, {"log_prob": log_prob})
    return found


@functools.cache
def session(path):
    """ONNX Runtime's own of a file."""
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def run_onnx(path, signature, inputs):
    """By ONNX Runtime alone; the outputs have the files' own names."""
    loaded = session(path / f"{signature}.onnx")
    names = [output.name for output in loaded.get_outputs()]
    return dict(zip(names, loaded.run(names, inputs), strict=True))


@functools.cache
def load(path):
    return tf.saved_model.load(str(path)) if path.is_dir() else Interpreter(str(path), num_threads=1)


def run(path, signature, inputs):
    """All rows in one batch by TensorFlow, or one after the other by LiteRT."""
    loaded = load(path)
    if path.is_dir():
        outputs = loaded.signatures[signature](**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}
    runner = loaded.get_signature_runner(signature)
    number = len(next(iter(inputs.values())))
    rows = [runner(**{name: value[i : i + 1] for name, value in inputs.items()}) for i in range(number)]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def assert_agree(received, wanted, message=""):
    """Integers are the same, and floats within 1e-4 of max(1, |wanted|)."""
    assert received.shape == wanted.shape and received.dtype == wanted.dtype, message
    if wanted.dtype.kind == "i":
        np.testing.assert_array_equal(received, wanted, err_msg=message)
    else:
        difference = np.abs(received - wanted) / np.maximum(1.0, np.abs(wanted))
        assert np.all(difference <= 1e-4), f"{message}: {np.max(difference)}"


def read(path):
    """A TFLite file as objects, by TensorFlow's own reader."""
    return flatbuffer.read(pathlib.Path(path).read_bytes())


def operators(path):
    """The name, version and custom name of every operator, and which place has which."""
    names = {number: name for name, number in vars(flatbuffer.schema.BuiltinOperator).items()}
    return [(names[code.builtinCode], code.version, code.customCode) for code in read(path).operatorCodes]
