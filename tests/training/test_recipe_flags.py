"""Flags that are wrong end the program with status 2 before any data is read, and say what is wrong."""

import ast
import dataclasses
import json
import pathlib

import pytest
import tensorflow as tf

from zoo import data, training
from zoo.training import devices
from zoo.training.flags import DecoderFlags, PriorFlags, RunFlags, parse


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
    monkeypatch.setattr(devices, "make_strategy", lambda name: two)
    error = error_of(recipe_module("mnist_vqvae").main, "--sample", "--output", tmp_path, flag, size)
    assert f"Expected `{flag}` to be a multiple of the 2 replicas. Received: {size}, which leaves {left} over" in error


@pytest.mark.parametrize("config", ["{", "[]", "3"])
def test_job_description_that_is_none(tiny, tmp_path, error_of, monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    error = error_of(lambda argv: training.main(tiny(), argv), "--sample", "--output", tmp_path)
    assert f"Expected TF_CONFIG to be a JSON object. Received: {config!r}" in error


@pytest.mark.parametrize("config", [None, "{}", '{"task": {"type": "worker", "index": 0}}'])
def test_several_workers_without_a_description_of_them(tiny, tmp_path, error_of, monkeypatch, config):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    flags = ("--sample", "--output", tmp_path, "--strategy", "multiworker")
    error = error_of(lambda argv: training.main(tiny(), argv), *flags)
    assert "Expected workers in TF_CONFIG, as --strategy is multiworker. Received: none" in error


@pytest.mark.parametrize("cluster", ["a:1", ["a:1"], {"worker": "a:1"}, {"worker": 2}])
def test_workers_that_are_no_lists(tiny, tmp_path, error_of, monkeypatch, cluster):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster}))
    error = error_of(lambda argv: training.main(tiny(), argv), "--sample", "--output", tmp_path)
    assert "Expected the cluster in TF_CONFIG to have lists of addresses. Received: " in error


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
    images = ["--images", tmp_path / "pictures"] if name == "image_folder_vqvae" else []
    error = error_of(recipe_module(name).main, *images, "--output", tmp_path / "out", *argv)
    for part in parts:
        assert part in error


@pytest.mark.parametrize("name", ["celeba_vae", "image_folder_vqvae"])
@pytest.mark.parametrize("size", ["50", "0", "-16"])
def test_image_size_is_named_as_the_user_wrote_it(recipe_module, tmp_path, error_of, name, size):
    images = ["--images", tmp_path / "pictures"] if name == "image_folder_vqvae" else []
    error = error_of(recipe_module(name).main, *images, "--output", tmp_path / "out", "--image-size", size)
    assert "--image-size" in error and size in error and "multiple of" in error


@pytest.mark.parametrize(
    "flag, value", [("--downsamples", "0"), ("--downsamples", "-1"), ("--filters", "0"), ("--code-dim", "0")]
)
def test_network_flag_that_makes_no_network_is_refused(recipe_module, tmp_path, error_of, flag, value):
    argv = ["--images", tmp_path / "pictures", "--output", tmp_path / "out", flag, value]
    error = error_of(recipe_module("image_folder_vqvae").main, *argv)
    name = flag.removeprefix("--").replace("-", "_")
    assert (flag in error or name in error) and value in error


@pytest.mark.parametrize("name", ["celeba_vae", "dsprites_beta_vae", "svhn_vae"])
def test_sample_where_there_is_none(recipe_module, tmp_path, error_of, name):
    error = error_of(recipe_module(name).main, "--sample", "--output", tmp_path)
    assert "--sample" in error and "only mnist, fashion_mnist, cifar10 have a bundled sample" in error


@pytest.mark.parametrize("argv, received", [([], "neither"), (["--images", "x", "--shards", "y"], "both")])
def test_folder_of_pictures_or_shards_are_required(recipe_module, tmp_path, error_of, argv, received):
    error = error_of(recipe_module("image_folder_vqvae").main, "--output", tmp_path, *argv)
    assert f"Expected `--images` or `--shards`. Received: {received}" in error


@pytest.mark.parametrize(
    "argv, said",
    [
        (["--shards", "x", "--sample"], "--sample` to be left out, as --shards names the data"),
        (["--shards", "x", "--data-dir", "y"], "--data-dir` to be left out, as --shards names the data"),
        (["--shards", "x", "--shuffle-buffer", "0"], "--shuffle-buffer` to be an integer >= 1"),
        (["--shuffle-buffer", "5"], "--shuffle-buffer` to be left out, as --shards is not given"),
    ],
)
def test_flags_that_shards_exclude_or_require(tiny, tmp_path, error_of, argv, said):
    assert said in error_of(training.Main(tiny()), "--output", tmp_path, *argv)


def test_recipe_of_made_images_takes_no_shards(recipe_module, tmp_path, error_of):
    error = error_of(recipe_module("sprites_factor_vae").main, "--output", tmp_path, "--shards", "x")
    assert "unrecognized arguments: --shards x" in error


@pytest.mark.parametrize("below", ["", "runs"])
def test_output_that_cannot_be_written(tiny, tmp_path, error_of, below):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("mine")
    output = in_the_way / below
    error = error_of(lambda argv: training.main(tiny(), argv), "--sample", "--output", output)
    assert error.startswith("Expected `--output` to be a folder that can be written to. Received: ")
    assert str(output) in error
    assert in_the_way.read_text() == "mine"


@pytest.mark.parametrize("there", [False, True])
def test_output_that_can_be_written_is_left_as_it_was(tiny, tmp_path, there):
    output = tmp_path / "a" / "b"
    if there:
        output.mkdir(parents=True)
    flags = parse(tiny(), ["--sample", "--output", str(output)])
    assert flags.output == output
    assert list(tmp_path.rglob("*")) == ([output.parent, output] if there else [])


def test_output_in_a_folder_of_data(recipe_module, tmp_path, error_of):
    (tmp_path / "pictures").mkdir()
    main = recipe_module("image_folder_vqvae").main
    for output in ("pictures", "pictures/a/run"):
        error = error_of(main, "--images", tmp_path / "pictures", "--output", tmp_path / output)
        assert error.startswith("Expected `--output` to be outside of the folder of --images. Received: ")


def test_output_whose_name_no_folder_can_have(tiny, tmp_path, error_of):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for output in (tmp_path / "link" / "run", tmp_path / ("a" * 300) / "run"):
        error = error_of(lambda argv: training.main(tiny(), argv), "--sample", "--output", output)
        assert error.startswith("Expected `--output` to be a folder that can be written to. Received: ")


def test_defaults_are_those_of_the_recipe(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = parse(tiny(learning_rate=0.5, batch_size=7), [])
    assert (flags.batch_size, flags.learning_rate, flags.seed, flags.strategy) == (7, 0.5, 0, "auto")
    assert (flags.epochs, flags.steps_per_epoch, flags.sample, flags.fresh) == (None, None, False, False)
    assert flags.mixed_precision == "none" and flags.binarization == "dynamic"
    assert flags.output == pathlib.Path("runs", "tiny")


def test_defaults_of_its_own_under_sample(tiny, tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Flags:
        filters: int = training.flag(128, sample=64)

    recipe = tiny(flags=Flags)
    output = ["--output", str(tmp_path)]
    assert parse(recipe, output).own.filters == 128
    assert parse(recipe, ["--sample", *output]).own.filters == 64
    assert parse(recipe, ["--sample", "--filters", "32", *output]).own.filters == 32


def test_mixed_precision_alone_is_bfloat16(tiny, tmp_path):
    assert parse(tiny(), ["--output", str(tmp_path), "--mixed-precision"]).mixed_precision == "bfloat16"


def test_recipe_without_binarization_has_no_such_flag(tiny, tmp_path, error_of):
    recipe = tiny(binarization=None)
    assert parse(recipe, ["--output", str(tmp_path)]).binarization == "none"
    assert "--binarization" in error_of(
        lambda argv: parse(recipe, argv), "--output", tmp_path, "--binarization", "static"
    )


def test_recipe_without_a_prior_has_no_such_flag(tiny, tmp_path, error_of):
    assert parse(tiny(), ["--output", str(tmp_path)]).prior is None
    assert "--prior" in error_of(lambda argv: parse(tiny(), argv), "--output", tmp_path, "--prior", "none")


def test_default_of_the_prior_is_its_first_kind(tiny, tmp_path):
    recipe = tiny(prior=training.Prior(build=None, kinds=("a", "b"), batch_size=5, learning_rate=0.5))
    prior = parse(recipe, ["--output", str(tmp_path)]).prior
    assert (prior.kind, prior.epochs, prior.batch_size, prior.learning_rate) == ("a", None, 5, 0.5)
    assert parse(recipe, ["--output", str(tmp_path), "--prior", "none"]).prior.kind == "none"


def test_help_says_the_epochs_of_both_stages(tiny, capsys):
    prior = training.Prior(build=None, kinds=("a",), epochs=7, sample_epochs=3, batch_size=5)
    with pytest.raises(SystemExit):
        parse(tiny(epochs=40, sample_epochs=9, prior=prior), ["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "--epochs EPOCHS default: 40, with --sample 9" in shown
    assert "--prior-epochs PRIOR_EPOCHS default: 7, with --sample 3" in shown


def test_image_size_changes_the_shape(recipe_module, tmp_path):
    recipe = recipe_module("celeba_vae").main.recipe
    assert recipe.shape(parse(recipe, ["--output", str(tmp_path)]).own) == (64, 64, 3)
    assert recipe.shape(parse(recipe, ["--output", str(tmp_path), "--image-size", "32"]).own) == (32, 32, 3)


@pytest.mark.parametrize(
    "argv, shape, noted",
    [((), (64, 64, 3), "64"), (("32",), (32, 32, 3), "32"), (("48", "64"), (48, 64, 3), "[48, 64]")],
)
def test_image_size_is_a_side_or_height_and_width(recipe_module, tmp_path, argv, shape, noted):
    recipe, size = recipe_module("image_folder_vqvae").main.recipe, ["--image-size", *argv] if argv else []
    flags = parse(recipe, ["--images", "a", "--output", str(tmp_path), *size])
    assert recipe.shape(flags.own) == shape and flags.records.settings["image_size"] == noted
    assert recipe.build(flags.own, recipe.shape(flags.own), 0).image_shape == shape


def test_flags_are_fixed_once_they_are_parsed(recipe_module, tmp_path):
    flags = parse(recipe_module("cifar10_vqvae").main.recipe, ["--output", str(tmp_path)])
    for part, name in ((flags, "seed"), (flags.prior, "kind"), (flags.own, "filters")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, name, 1)


SETTINGS = {
    "steps_per_epoch": None, "batch_size": "64", "learning_rate": "0.001", "seed": "0", "mixed_precision": "none",
    "ema": None,
}  # fmt: skip


@pytest.mark.parametrize(
    "name, argv, settings",
    [
        ("mnist_cvae", ["--labels", "3", "7"], {"sample": "False", "binarization": "dynamic", "latent_dim": "16"}),
        (
            "mnist_vqvae",
            ["--sample", "--prior", "pixelcnn"],
            {
                "sample": "True", "binarization": "none", "quantizer": "vq", "num_codes": "128", "code_dim": "16",
                "levels": "[5, 5, 5]", "depth": "2", "filters": "64",
            },
        ),
        (
            "image_folder_vqvae",
            ["--images", "a/b", "--batch-size", "64"],
            {
                "sample": "False", "binarization": "none", "images": "a/b", "image_size": "64", "downsamples": "2",
                "num_codes": "512", "code_dim": "64", "filters": "64",
            },
        ),
        ("mnist_hvae", ["--batch-size", "64"], {"sample": "False", "binarization": "dynamic", "ema": "0.999"}),
    ],
)  # fmt: skip
def test_settings_are_those_that_checkpoints_of_version_0_1_hold(recipe_module, tmp_path, name, argv, settings):
    """Its runs go on only while names and texts stay as they are."""
    recipe = recipe_module(name).main.recipe
    records = parse(recipe, [*argv, "--output", str(tmp_path)]).records
    later = {"start": None}  # and so assumed for a checkpoint that does not know it
    assert records.settings == SETTINGS | settings | later and records.defaults.items() >= later.items()


def test_records_hold_every_flag(recipe_module, tmp_path):
    recipe = recipe_module("mnist_cvae").main.recipe
    records = parse(recipe, ["--labels", "3", "7", "--checkpoint-seconds", "9", "--output", str(tmp_path)]).records
    free = {
        "data_dir": None, "epochs": None, "strategy": "auto", "parts": None, "output": str(tmp_path), "fresh": "False",
        "checkpoint_seconds": "9.0", "no_cache": "False", "no_export": "False", "labels": "[3, 7]",
            "shards": None, "shuffle_buffer": None,
    }  # fmt: skip
    settings = {name: value for name, value in records.settings.items() if name != "ema"}
    assert records.all == settings | free


def test_defaults_of_settings_are_those_without_sample(recipe_module, tmp_path):
    recipe = recipe_module("cifar10_vqvae").main.recipe
    records = parse(recipe, ["--sample", "--output", str(tmp_path)]).records
    assert (records.settings["filters"], records.defaults["filters"]) == ("64", "128")
    assert (records.settings["sample"], records.defaults["sample"]) == ("True", "False")


def test_own_flag_with_choices(tiny, tmp_path, error_of):
    @dataclasses.dataclass(frozen=True)
    class Flags:
        prior: str = training.flag("standard_normal", "p(z)", choices=("standard_normal", "flow"))

    recipe = tiny(flags=Flags)
    flags = parse(recipe, ["--prior", "flow", "--output", str(tmp_path)])
    assert (flags.own.prior, flags.prior, flags.records.settings["prior"]) == ("flow", None, "flow")
    assert "invalid choice: 'x'" in error_of(lambda argv: parse(recipe, argv), "--prior", "x", "--output", tmp_path)


def test_own_flags_that_are_refused_are_a_usage_error(tiny, tmp_path, error_of):
    @dataclasses.dataclass(frozen=True)
    class Flags:
        width: int = 3

        def __post_init__(self):
            raise ValueError("Expected `--width` to be wide.")

    error = error_of(lambda argv: parse(tiny(flags=Flags), argv), "--output", tmp_path)
    assert error == "Expected `--width` to be wide.\n"


ROOT = pathlib.Path(__file__).parents[2]
OWN = {
    node.target.id
    for script in ROOT.glob("recipes/*.py")
    if "training.script(" in script.read_text()
    for node in ast.walk(ast.parse(script.read_text()))
    if isinstance(node, ast.AnnAssign)
}
# A recipe of data without a bundled sample may have a `--sample` of its own, which the library does not read.
OWN -= {field.name for kind in (RunFlags, PriorFlags, DecoderFlags) for field in dataclasses.fields(kind)}
DECLARING = ("clips.py", "quantizers.py")
TRAINING = [path for path in sorted((ROOT / "zoo" / "training").glob("*.py")) if path.name not in DECLARING]


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.name)
def test_library_names_no_flag_of_a_recipe(path):
    """Those of `DECLARING` declare their own, which recipes inherit."""
    read = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and "flags" in ast.unparse(node.value)
    }
    assert {"latent_dim", "image_size", "labels", "images", "filters"} <= OWN
    assert not read & OWN


def test_sample_and_a_folder_of_datasets_exclude_each_other(tiny, tmp_path, error_of):
    error = error_of(lambda argv: parse(tiny(), argv), "--output", tmp_path, "--sample", "--data-dir", tmp_path)
    assert "Expected `--data-dir` to be left out, as --sample takes the bundled images" in error


@pytest.mark.parametrize("name", ["checkpoints", "export", "logs"])
def test_a_file_in_the_place_of_a_folder_is_named_before_any_work(tiny, tmp_path, error_of, name):
    (tmp_path / name).write_text("a note")
    error = error_of(lambda argv: parse(tiny(), argv), "--output", tmp_path)
    assert f"Expected `--output` to be a place where {name} is a folder, or not there" in error


def test_an_empty_output_is_not_the_present_folder(tiny, error_of):
    assert "argument --output: Expected a path. Received: ''" in error_of(
        lambda argv: parse(tiny(), argv), "--output", ""
    )
