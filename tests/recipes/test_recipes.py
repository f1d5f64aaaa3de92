"""Every script in recipes/ keeps its promises; a new one is tested here without a line of its own."""

import functools
import hashlib
import json
import math
import os
import pathlib
import shlex
import subprocess
import sys

import keras
import numpy as np
import pytest
import scripts
import tensorflow as tf
import tensorflow_datasets as tfds

import zoo
from zoo import data, presets, training
from zoo.training import options
from zoo.training.card import command
from zoo.training.flags import parse

pytestmark = pytest.mark.usefixtures("few_samples")

SCRIPTS = sorted(scripts.FOLDER.glob("*.py"))
# classifier.py trains no VAE, and others take data that are no images: they have tests of their own.
TEXTS = {script: script.read_text() for script in SCRIPTS}
SCRIPTS = [script for script, text in TEXTS.items() if "training.script(" in text and "examples=" not in text]

MODULES = {script.stem: scripts.load(script.stem) for script in SCRIPTS}
WITH_SAMPLE = [name for name, module in MODULES.items() if module.main.recipe.dataset in data.SAMPLES]
WITHOUT_SAMPLE = [name for name, module in MODULES.items() if module.main.recipe.dataset not in (None, *data.SAMPLES)]
# What TFDS says that each of these datasets holds.
SPLITS = {"dsprites": ["train"], "celeb_a": ["train", "validation", "test"], "svhn_cropped": ["train", "test", "extra"]}


def check_run(output, metrics, steps):
    """What a run of a single epoch must leave, whatever the model."""
    assert json.loads((output / "metrics.json").read_text(), parse_constant=pytest.fail) == metrics
    assert (metrics["epochs"], metrics["steps"]) == (1, steps)
    assert all(math.isfinite(value) for value in metrics["test"].values())
    assert len((output / "history.csv").read_text().splitlines()) == 2
    assert (output / "checkpoints" / f"step-{steps:08d}").is_dir()
    pictures = {"reconstructions.png", "interpolation.png", "curves.png"}
    assert pictures < {path.name for path in output.iterdir()}
    model = keras.saving.load_model(output / "model.keras")
    assert model.can_sample and (output / "samples.png").exists()
    if "prior" in metrics:
        assert len((output / "prior_transformer" / "history.csv").read_text().splitlines()) == 2
        assert {"elbo", "prior_nats_per_code", "unigram_nats_per_code"} < set(metrics["test"])
    return model


def few_steps(name, steps):
    """Flags of a single epoch, and of one of the prior where there is any; without what takes the longest."""
    flags = ["--epochs", "1", "--steps-per-epoch", str(steps), "--no-export", "--parts", "1"]
    return flags + (["--prior-epochs", "1"] if MODULES[name].main.recipe.prior else [])


# `test_recipe_ships_both_formats_with_a_card` runs mnist_cvae, `test_quantizer_of_a_vqvae` mnist_vqvae, and
# tests/training/test_run.py mnist_vae.
RUN_ELSEWHERE = ("mnist_cvae", "mnist_vae", "mnist_vqvae")
LONGEST = (
    "celeba_vae", "cifar10_hvae", "cifar10_vae", "cifar10_vqvae", "dsprites_beta_vae", "fashion_mnist_beta_vae",
    "mnist_hvae",
)  # fmt: skip


def test_all_recipes_are_found():
    assert len(MODULES) >= 8
    assert {*WITH_SAMPLE, *WITHOUT_SAMPLE, "image_folder_vqvae", "sprites_factor_vae"} == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_recipe_is_named_after_its_file(name):
    recipe = MODULES[name].main.recipe
    assert isinstance(recipe, training.Recipe)
    assert recipe.name == name
    assert recipe.description == MODULES[name].__doc__


@pytest.mark.parametrize("name", MODULES)
def test_own_flags_are_frozen_and_say_what_they_are(name):
    recipe = MODULES[name].main.recipe
    assert recipe.flags.__dataclass_params__.frozen
    shown = {option.name: option.help for option in options.of(recipe.flags)}
    assert {flag for flag, text in shown.items() if not text} <= {"quantizer"}  # its choices do


@pytest.mark.parametrize("name", MODULES)
def test_docstring_holds_the_command_line(name):
    assert f"python recipes/{name}.py" in MODULES[name].__doc__


@pytest.mark.parametrize("name", MODULES)
def test_help_shows_the_shared_flags(name, capsys):
    with pytest.raises(SystemExit) as caught:
        MODULES[name].main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    flags = [
        "--epochs", "--steps-per-epoch", "--batch-size", "--learning-rate", "--seed", "--strategy", "--parts",
        "--mixed-precision", "--output", "--fresh", "--no-cache",
    ]  # fmt: skip
    flags += ["--data-dir"] if MODULES[name].main.recipe.dataset else []
    flags += ["--sample"] if name in WITH_SAMPLE else []
    flags += ["--prior", "--prior-epochs"] if MODULES[name].main.recipe.prior else []
    listed = {line.split()[0].rstrip(",") for line in shown.splitlines() if line.startswith("  --")}
    assert listed >= set(flags)
    assert ("--sample" in listed) == (name in WITH_SAMPLE)
    assert "auto,none,mirrored,multiworker,tpu" in shown
    assert pathlib.Path("runs", name).as_posix() in "".join(shown.split())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in (*LONGEST, *RUN_ELSEWHERE) else name
        for name in WITH_SAMPLE
    ],
)
def test_recipe_runs_on_its_sample(name, mode, tmp_path):
    metrics = MODULES[name].main(["--sample", *few_steps(name, 2), "--output", str(tmp_path)])
    model = check_run(tmp_path, metrics, steps=2)
    shape = MODULES[name].main.recipe.image_shape
    x = data.load(MODULES[name].main.recipe.dataset, sample=True).test.images[:2] / np.float32(255)
    labels = np.int32([3, 7]) if model.conditional else None
    assert np.asarray(model.reconstruct(x, labels)).shape == (2, *shape)


def flags_of_exports(name, output):
    return ["--sample", *(flag for flag in few_steps(name, 2) if flag != "--no-export"), "--output", str(output)]


@pytest.fixture(scope="module")
def run_in_a_shell(tmp_path_factory):
    """Function of a recipe's name that runs it with its exports, once: the process that has ended, and its folder."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")
    }

    @functools.cache
    def run(name):
        output = tmp_path_factory.mktemp(name)
        words = [sys.executable, scripts.FOLDER / f"{name}.py", *flags_of_exports(name, output)]
        return subprocess.run(words, env=inherited, cwd=output, capture_output=True, text=True), output

    return run


every_shipped = pytest.mark.parametrize(
    "name", [name if name == "mnist_cvae" else pytest.param(name, marks=pytest.mark.slow) for name in WITH_SAMPLE]
)


@pytest.mark.long
@every_shipped
def test_recipe_in_a_shell_says_nothing_on_stderr(name, run_in_a_shell):
    done, _ = run_in_a_shell(name)
    assert done.returncode == 0
    assert done.stderr == ""
    if MODULES[name].main.recipe.dataset == "mnist":
        assert done.stdout.splitlines()[0] == f"{name}: 3600 training, 400 validation and 800 test images"


@pytest.mark.long
@every_shipped
def test_recipe_ships_both_formats_with_a_card(name, run_in_a_shell):
    _, output = run_in_a_shell(name)
    metrics = json.loads((output / "metrics.json").read_text())
    folder = output / "export"
    card = json.loads((folder / "card.json").read_text())
    assert card["test"] == metrics["test"] and card["name"] == name and card["seed"] == 0
    assert card["command"] == shlex.join(["python", f"recipes/{name}.py", *flags_of_exports(name, output)])
    assert command(name) == f"python recipes/{name}.py"  # where it was called from Python, as here
    assert card["training_data"].startswith("the sample of ")
    assert card.get("binarization", "none") == metrics["flags"].get("binarization", "none")
    listed = presets.manifest.read(folder).files
    assert {"1/saved_model.pb", "model.tflite", "model_int8.tflite", "history.csv"} <= set(listed)
    for path, written in listed.items():
        content = (folder / path).read_bytes()
        assert written == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    model = keras.saving.load_model(output / "model.keras")
    for one, other in zip(model.weights, zoo.from_preset(folder).weights, strict=True):
        if not one.path.endswith("draws"):  # the plots and the checks of the exports have drawn noise in between
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    for exported in (folder, folder / "model.tflite"):
        assert all(row["passed"] for row in zoo.export.check(exported, model))
    assert json.loads((folder / "model_int8.json").read_text())["quantization"]["images"] == 32


RESIDUAL = ["--num-codes", "9", "--depth", "3"]


@pytest.mark.parametrize("name", [pytest.param("cifar10_vqvae", marks=pytest.mark.slow), "mnist_vqvae"])
@pytest.mark.parametrize(
    "quantizer, argv, num_codes, width",
    [
        pytest.param("fsq", ["--levels", "5", "4", "3"], 60, 1, marks=pytest.mark.long),
        pytest.param("residual", RESIDUAL, 9, 3, marks=pytest.mark.slow),
    ],
)
def test_quantizer_of_a_vqvae(name, quantizer, argv, num_codes, width, mode, tmp_path):
    argv = ["--quantizer", quantizer, *argv, "--filters", "8", "--sample", *few_steps(name, 1)]
    metrics = MODULES[name].main([*argv, "--output", str(tmp_path)])
    model = check_run(tmp_path, metrics, steps=1)
    side = MODULES[name].main.recipe.image_shape[0] // 4
    assert model.quantizer.num_codes == model.prior.num_codes == num_codes
    assert model.prior.grid_shape == (side, side * width)


# tests/models/test_vq_vae_prior.py has a prior over the codes of a residual quantizer.
@pytest.mark.parametrize("name", ["cifar10_vqvae", "mnist_vqvae"])
def test_residual_quantizer_of_a_vqvae(name, tmp_path):
    recipe = MODULES[name].main.recipe
    own = parse(recipe, ["--quantizer", "residual", *RESIDUAL, "--filters", "8", "--output", str(tmp_path)]).own
    quantizer = recipe.build(own, recipe.shape(own), 0).quantizer
    assert (type(quantizer), quantizer.num_codes, quantizer.depth) == (zoo.quantizers.ResidualQuantizer, 9, 3)


@pytest.mark.parametrize("name", ["cifar10_vqvae", "image_folder_vqvae", "mnist_vqvae"])
@pytest.mark.parametrize("kind", ["transformer", "pixelcnn"])
def test_priors_of_a_recipe_are_of_one_size(name, kind, tmp_path):
    """So that they compare."""
    recipe = MODULES[name].main.recipe
    argv = ["--images", "x"] if name == "image_folder_vqvae" else []
    own = parse(recipe, [*argv, "--output", str(tmp_path)]).own
    grid = recipe.shape(own)[0] // 4
    model = recipe.build(own, recipe.shape(own), 0)
    prior = recipe.prior.build(kind, model.quantizer.num_codes, (grid, grid), 0, sample=False)
    number = sum(np.size(weight) for weight in prior.trainable_weights)
    sizes = {"cifar10_vqvae": (9.5e5, 1.1e6), "mnist_vqvae": (6e5, 7e5), "image_folder_vqvae": (4e5, 7e5)}
    low, high = sizes[name]
    assert low < number < high


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONGEST else name for name in WITHOUT_SAMPLE]
)
def test_recipe_runs_on_its_dataset(name, mode, prepared, tmp_path):
    dataset = MODULES[name].main.recipe.dataset
    folder = prepared(dataset, dict.fromkeys(SPLITS[dataset], 20))
    argv = [*few_steps(name, 1), "--batch-size", "4", "--output", str(tmp_path / "out")]
    with tfds.testing.mock_data(num_examples=20, data_dir=folder):
        metrics = MODULES[name].main(argv)
    check_run(tmp_path / "out", metrics, steps=1)
    assert sum(metrics["images"].values()) == (20 if dataset == "dsprites" else 40)


@pytest.mark.long
def test_image_folder_recipe_runs_on_five_pictures(mode, tmp_path):
    pixels = np.random.default_rng(0)
    for number, size in enumerate([(40, 60), (90, 30), (64, 64), (33, 47), (120, 120)]):
        image = np.uint8(pixels.integers(0, 256, (*size, 3)))
        tf.io.write_file(str(tmp_path / "pictures" / "holidays" / f"{number}.png"), tf.io.encode_png(image))
    argv = ["--images", str(tmp_path / "pictures"), "--image-size", "32", "--filters", "16"]
    argv += [*few_steps("image_folder_vqvae", 2), "--output", str(tmp_path / "out")]
    metrics = MODULES["image_folder_vqvae"].main(argv)
    assert metrics["images"] == {"train": 3, "validation": 1, "test": 1}
    model = check_run(tmp_path / "out", metrics, steps=2)
    assert model.encode(np.zeros((1, 32, 32, 3), np.float32)).shape == (1, 8, 8)
    assert not (tmp_path / "out" / "latents.png").exists() and (tmp_path / "out" / "codebook.png").exists()


@pytest.mark.slow
def test_sprites_recipe_runs(tmp_path):
    small = ["--image-size", "8", "--images", "300", "--hidden", "8", "--latent-dim", "3", "--batch-size", "100"]
    argv = [*small, *few_steps("sprites_factor_vae", 2), "--output", str(tmp_path)]
    metrics = MODULES["sprites_factor_vae"].main(argv)
    assert metrics["images"] == {"train": 300, "validation": 5000, "test": 10000}
    model = check_run(tmp_path, metrics, steps=2)
    assert model.embed(np.zeros((2, 8, 8, 1), np.float32)).shape == (2, 3)


@pytest.mark.parametrize(
    "argv, kind, weights",
    [
        (["--method", "factor", "--gamma", "7"], zoo.FactorVAE, {"gamma": 7.0}),
        (["--method", "beta", "--beta", "8"], zoo.BetaVAE, {"beta": 8.0}),
        (["--method", "tc", "--images", "300"], zoo.BetaTCVAE, {"beta": 6.0, "dataset_size": 300}),
    ],
)
def test_methods_of_the_sprites_recipe(argv, kind, weights, tmp_path):
    recipe = MODULES["sprites_factor_vae"].main.recipe
    own = parse(recipe, [*argv, "--output", str(tmp_path)]).own
    model = recipe.build(own, recipe.shape(own), 0)
    assert type(model) is kind and {name: getattr(model, name) for name in weights} == weights
