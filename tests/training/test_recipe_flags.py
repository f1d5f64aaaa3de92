"""Flags that are wrong end the program with status 2 before any data is read, and say what is wrong."""

import json
import pathlib

import pytest
import tensorflow as tf

from zoo import data, training


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    def refuse(*_, **__):
        pytest.fail("data was read")

    for name in ("load", "load_folder"):
        monkeypatch.setattr(data, name, refuse)


@pytest.fixture
def error_of(capsys):
    """Function of (main, argv) that gives the one line in which a usage error says what is wrong."""

    def run(main, *argv):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in argv])
        assert caught.value.code == 2
        usage, error = capsys.readouterr().err.split(": error: ")
        assert usage.startswith("usage: ") and error.count("\n") == 1
        return error

    return run


@pytest.mark.parametrize(
    "argv, parts",
    [
        (["--epochs", "0"], ["--epochs", "an integer >= 1", "0"]),
        (["--epochs", "-2"], ["--epochs", "an integer >= 1", "-2"]),
        (["--epochs", "1.5"], ["--epochs", "int", "1.5"]),
        (["--steps-per-epoch", "0"], ["--steps-per-epoch", "an integer >= 1", "0"]),
        (["--batch-size", "-4"], ["--batch-size", "an integer >= 1", "-4"]),
        (["--learning-rate", "0"], ["--learning-rate", "> 0", "0.0"]),
        (["--learning-rate", "-0.001"], ["--learning-rate", "> 0", "-0.001"]),
        (["--learning-rate", "nan"], ["--learning-rate", "a finite number > 0", "nan"]),
        (["--learning-rate", "inf"], ["--learning-rate", "a finite number > 0", "inf"]),
        (["--checkpoint-seconds", "0"], ["--checkpoint-seconds", "> 0", "0.0"]),
        (["--seed", "-1"], ["--seed", ">= 0", "-1"]),
        (["--seed", "x"], ["--seed", "int", "x"]),
        (["--strategy", "horovod"], ["--strategy", "mirrored", "horovod"]),
        (["--mixed-precision", "int8"], ["--mixed-precision", "bfloat16", "int8"]),
        (["--binarization", "often"], ["--binarization", "dynamic", "often"]),
        (["--epoks", "3"], ["--epoks"]),
    ],
)
def test_shared_flag(tiny, tmp_path, error_of, argv, parts):
    error = error_of(lambda argv: training.main(tiny(), argv), "--sample", "--output", tmp_path / "out", *argv)
    for part in parts:
        assert part in error


@pytest.mark.parametrize("flag, size, left", [("--batch-size", 33, 1), ("--prior-batch-size", 7, 1)])
def test_batch_that_replicas_cannot_share(recipe_module, tmp_path, error_of, monkeypatch, flag, size, left):
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    monkeypatch.setattr(training.run, "make_strategy", lambda name: two)
    error = error_of(recipe_module("mnist_vqvae").main, "--sample", "--output", tmp_path, flag, size)
    assert f"Expected `{flag}` to be a multiple of the 2 replicas. Received: {size}, which leaves {left} over" in error


@pytest.mark.parametrize("config", ["{", "[]", "3"])
def test_job_description_that_is_none(tiny, tmp_path, error_of, monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    error = error_of(lambda argv: training.main(tiny(), argv), "--sample", "--output", tmp_path)
    assert f"Expected TF_CONFIG to be a JSON object. Received: {config!r}" in error


def test_workers_that_are_not_to_know_of_each_other(tiny, tmp_path, error_of, monkeypatch):
    """They would write into one another's output."""
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"], "evaluator": ["d:1"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}}))
    error = error_of(lambda argv: training.main(tiny(), argv), "--sample", "--output", tmp_path)
    assert "Expected `--strategy` to be multiworker, as TF_CONFIG names 3 workers. Received: auto" in error


@pytest.mark.parametrize(
    "name, argv, parts",
    [
        ("fashion_mnist_beta_vae", ["--beta", "-1"], ["beta", ">= 0", "-1.0"]),
        ("fashion_mnist_beta_vae", ["--beta", "nan"], ["beta", "a finite number >= 0", "nan"]),
        ("mnist_cvae", ["--labels", "3", "12"], ["--labels", "from 0 to 9", "12"]),
        ("mnist_cvae", ["--labels", "-1"], ["--labels", "from 0 to 9", "-1"]),
        ("mnist_vae", ["--latent-dim", "0"], ["latent_dim", "an integer >= 1", "0"]),
        ("dsprites_beta_vae", ["--capacity", "nan"], ["capacity", ">= 0", "nan"]),
        ("dsprites_beta_vae", ["--gamma", "-1"], ["gamma", ">= 0", "-1.0"]),
        ("cifar10_vqvae", ["--num-codes", "0"], ["num_codes", "an integer >= 1", "0"]),
        ("cifar10_vqvae", ["--commitment-cost", "-1"], ["commitment_cost", ">= 0", "-1.0"]),
        ("cifar10_vqvae", ["--quantizer", "pq"], ["--quantizer", "fsq", "pq"]),
        ("cifar10_vqvae", ["--prior", "lstm"], ["--prior", "pixelcnn", "lstm"]),
        ("mnist_vae", ["--parts", "0"], ["--parts", "an integer >= 1", "0"]),
        ("cifar10_vqvae", ["--prior-epochs", "0"], ["--prior-epochs", "an integer >= 1", "0"]),
        ("cifar10_vqvae", ["--prior-batch-size", "-1"], ["--prior-batch-size", "an integer >= 1", "-1"]),
        ("cifar10_vqvae", ["--prior-learning-rate", "0"], ["--prior-learning-rate", "> 0", "0.0"]),
        ("mnist_vqvae", ["--quantizer", "fsq", "--levels", "5", "1"], ["levels", "from 2", "[5, 1]"]),
        ("mnist_vqvae", ["--quantizer", "residual", "--depth", "0"], ["depth", "an integer >= 1", "0"]),
        ("celeba_vae", ["--image-size", "50"], ["image", "multiple of 16", "50"]),
        ("image_folder_vqvae", ["--image-size", "50"], ["image", "multiple of 4", "50"]),
    ],
)
def test_flag_of_a_recipe(recipe_module, tmp_path, error_of, name, argv, parts):
    images = ["--images", tmp_path] if name == "image_folder_vqvae" else []
    error = error_of(recipe_module(name).main, *images, "--output", tmp_path / "out", *argv)
    for part in parts:
        assert part in error


@pytest.mark.parametrize("name", ["celeba_vae", "image_folder_vqvae"])
@pytest.mark.parametrize("size", ["50", "0", "-16"])
def test_image_size_is_named_as_the_user_wrote_it(recipe_module, tmp_path, error_of, name, size):
    images = ["--images", tmp_path] if name == "image_folder_vqvae" else []
    error = error_of(recipe_module(name).main, *images, "--output", tmp_path / "out", "--image-size", size)
    assert "--image-size" in error and size in error and "multiple of" in error


@pytest.mark.parametrize(
    "flag, value", [("--downsamples", "0"), ("--downsamples", "-1"), ("--filters", "0"), ("--code-dim", "0")]
)
def test_network_flag_that_makes_no_network_is_refused(recipe_module, tmp_path, error_of, flag, value):
    argv = ["--images", tmp_path, "--output", tmp_path / "out", flag, value]
    error = error_of(recipe_module("image_folder_vqvae").main, *argv)
    name = flag.removeprefix("--").replace("-", "_")
    assert (flag in error or name in error) and value in error


@pytest.mark.parametrize("name", ["celeba_vae", "dsprites_beta_vae", "svhn_vae"])
def test_sample_where_there_is_none(recipe_module, tmp_path, error_of, name):
    error = error_of(recipe_module(name).main, "--sample", "--output", tmp_path)
    assert "--sample" in error and "only mnist, fashion_mnist, cifar10 have a bundled sample" in error


def test_folder_of_pictures_is_required(recipe_module, tmp_path, error_of):
    assert "--images" in error_of(recipe_module("image_folder_vqvae").main, "--output", tmp_path)


@pytest.mark.parametrize("below", ["", "runs"])
def test_output_that_cannot_be_written(tiny, tmp_path, error_of, below):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("mine")
    output = in_the_way / below
    error = error_of(lambda argv: training.main(tiny(), argv), "--sample", "--output", output)
    assert error.startswith("Expected `--output` to be a folder that can be written to. Received: ")
    assert str(output) in error
    assert in_the_way.read_text() == "mine"


def test_output_that_can_be_written_is_left_empty(tiny, tmp_path):
    output = tmp_path / "a" / "b"
    flags = tiny().parse(["--sample", "--output", str(output)])
    assert flags.output == output and list(output.iterdir()) == []


def test_defaults_are_those_of_the_recipe(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = tiny(learning_rate=0.5, batch_size=7).parse([])
    assert (flags.batch_size, flags.learning_rate, flags.seed, flags.strategy) == (7, 0.5, 0, "auto")
    assert (flags.epochs, flags.steps_per_epoch, flags.sample, flags.fresh) == (None, None, False, False)
    assert flags.mixed_precision == "none" and flags.binarization == "dynamic"
    assert flags.output == pathlib.Path("runs", "tiny")


def test_defaults_of_its_own_under_sample(tiny, tmp_path):
    def add_flags(parser):
        parser.add_argument("--filters", type=int, default=128)

    recipe = tiny(add_flags=add_flags, sample_flags={"filters": 64})
    output = ["--output", str(tmp_path)]
    assert recipe.parse(output).filters == 128
    assert recipe.parse(["--sample", *output]).filters == 64
    assert recipe.parse(["--sample", "--filters", "32", *output]).filters == 32


def test_mixed_precision_alone_is_bfloat16(tiny, tmp_path):
    assert tiny().parse(["--output", str(tmp_path), "--mixed-precision"]).mixed_precision == "bfloat16"


def test_recipe_without_binarization_has_no_such_flag(tiny, tmp_path, error_of):
    recipe = tiny(binarization=None)
    assert recipe.parse(["--output", str(tmp_path)]).binarization == "none"
    assert "--binarization" in error_of(recipe.parse, "--output", tmp_path, "--binarization", "static")


def test_recipe_without_a_prior_has_no_such_flag(tiny, tmp_path, error_of):
    assert not hasattr(tiny().parse(["--output", str(tmp_path)]), "prior")
    assert "--prior" in error_of(tiny().parse, "--output", tmp_path, "--prior", "none")


def test_default_of_the_prior_is_its_first_kind(tiny, tmp_path):
    recipe = tiny(prior=training.Prior(build=None, kinds=("a", "b"), batch_size=5, learning_rate=0.5))
    flags = recipe.parse(["--output", str(tmp_path)])
    assert (flags.prior, flags.prior_epochs, flags.prior_batch_size, flags.prior_learning_rate) == ("a", None, 5, 0.5)
    assert recipe.parse(["--output", str(tmp_path), "--prior", "none"]).prior == "none"


def test_image_size_changes_the_shape(recipe_module, tmp_path):
    recipe = recipe_module("celeba_vae").RECIPE
    assert recipe.shape(recipe.parse(["--output", str(tmp_path)])) == (64, 64, 3)
    assert recipe.shape(recipe.parse(["--output", str(tmp_path), "--image-size", "32"])) == (32, 32, 3)
