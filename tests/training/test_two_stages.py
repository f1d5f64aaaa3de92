"""A model and then a prior over its codes, in one command: each goes on where it stopped."""

import collections
import csv
import dataclasses
import functools
import hashlib
import json
import shutil
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import zoo
from zoo import data, training
from zoo.runtime import disk
from zoo.training import codes, devices, prior_stage, stage


@dataclasses.dataclass(frozen=True)
class Flags:
    num_codes: int = 12


def build_tiny(flags, image_shape, seed):
    encoder = keras.Sequential([keras.Input(image_shape), layers.Conv2D(4, 7, strides=7)])  # 4×4 codes of 28×28
    decoder = keras.Sequential([keras.Input((4, 4, 4)), layers.Conv2DTranspose(1, 7, strides=7)])
    quantizer = zoo.quantizers.VectorQuantizer(flags.num_codes, 4, seed=seed)
    return zoo.VQVAE(encoder, decoder, quantizer, zoo.likelihoods.Gaussian(0.2))


def build_prior(kind, num_codes, grid_shape, seed, sample):
    assert sample  # the flag of the command
    settings = {"num_codes": num_codes, "grid_shape": grid_shape, "dropout": 0.1, "seed": seed}
    if kind == "pixelcnn":
        return zoo.priors.PixelCNN(width=4, depth=1, kernel_size=3, **settings)
    return zoo.priors.Transformer(width=8, depth=1, heads=2, **settings)


class At(keras.callbacks.Callback):
    """Does `action()` after the given training step."""

    def __init__(self, step, action):
        super().__init__()
        self._step, self._action = step, action

    def on_train_batch_end(self, batch, logs=None):
        if self._step in (None, int(self.model.optimizer.iterations)):
            self._action()


@pytest.fixture(scope="module", autouse=True)
def _samples(few_samples):
    """In place of the one in conftest.py."""


@pytest.fixture(scope="module", autouse=True)
def _mode(mode_of_module):
    """Functions of so few steps take longer to trace than to run. tests/recipes traces both stages of mnist_vqvae."""


@pytest.fixture
def train(monkeypatch):
    return make_train(monkeypatch)


def make_train(monkeypatch=None):
    """Function that runs a tiny recipe: 2 epochs of 4 steps of a VQ-VAE on the bundled MNIST, then of a prior.

    `in_model` and `in_prior` are callbacks of one stage alone.
    """

    def run_recipe(output, *argv, in_model=None, in_prior=None, **changes):
        def build(*arguments):
            prior = build_prior(*arguments)
            if in_prior:  # a stage of a prior has no callbacks of its own
                fit = prior.fit
                prior.fit = lambda *args, callbacks, **kwargs: fit(*args, callbacks=[*callbacks, in_prior], **kwargs)
            return prior

        regime = {"batch_size": 100, "steps_per_execution": 2}
        prior = training.Prior(build=build, ema=changes.pop("prior_ema", None), **regime)
        recipe = training.Recipe(
            "tiny", "A tiny recipe.", (28, 28, 1), build_tiny, "mnist", prior=prior, flags=Flags,
            callbacks=lambda *_: [in_model] if in_model else (), **regime, **changes,
        )  # fmt: skip
        shared = ["--sample", "--epochs", "2", "--steps-per-epoch", "4", "--no-export"]
        shared += [] if "none" in argv else ["--prior-epochs", "2"]
        shared += ["--parts", "1"]  # more take longer to trace
        return training.main(recipe, [*shared, "--output", str(output), *argv])

    return run_recipe


@pytest.fixture(scope="module")
def finished(mode_of_module, tmp_path_factory):
    """A run that nothing disturbed: its folder, and what `main` gave."""
    output = tmp_path_factory.mktemp("finished")
    return output, make_train()(output)


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished[0], tmp_path / "copy")


def load(output):
    return keras.saving.load_model(output / "model.keras")


def assert_same_model(output, other):
    first, second = ([value.numpy() for value in load(folder).variables] for folder in (output, other))
    assert len(first) == len(second) > 20
    for a, b in zip(first, second):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def exit_code(call, *arguments, **changes):
    with pytest.raises(SystemExit) as caught:
        call(*arguments, **changes)
    return caught.value.code


def interrupt():
    raise KeyboardInterrupt


def no_step():
    pytest.fail("a step was trained")


def rows(path):
    return path.read_text().splitlines()


def settings_of(checkpoint):
    return json.loads((checkpoint / "state.json").read_text())


# What a run leaves behind.


def test_run_leaves_files_of_both_stages(finished):
    output, _ = finished
    assert {path.name for path in output.iterdir()} == {
        "model.keras", "checkpoints", "logs", "metrics.json", "history.csv", "prior_transformer",
        "reconstructions.png", "samples.png", "interpolation.png", "codebook.png", "curves.png",
    }  # fmt: skip
    folder = output / "prior_transformer"
    assert {path.name for path in folder.iterdir()} == {"checkpoints", "logs", "history.csv", "curves.png"}
    assert [path.name for path in sorted((folder / "checkpoints").iterdir())] == ["step-00000004", "step-00000008"]
    assert rows(folder / "history.csv")[0] == (
        "epoch,step,loss,nats_per_code,val_loss,val_nats_per_code,seconds,cpu_seconds"
    )
    assert len(rows(folder / "history.csv")) == 3


def test_figures_of_the_prior_are_those_of_the_saved_model(finished):
    output, metrics = finished
    model = load(output)
    splits = data.load("mnist", sample=True)
    x, x_train = (images.images / np.float32(255) for images in (splits.test, splits.train))
    test = metrics["test"]
    assert test["elbo"] == pytest.approx(np.mean(model.log_prob(x)), rel=1e-4)
    grid = np.asarray(model.encode(x))
    assert test["prior_nats_per_code"] == pytest.approx(-np.mean(model.prior.log_prob(grid)) / 16, rel=1e-4)
    counts = np.bincount(np.ravel(model.encode(x_train)), minlength=12) + 1
    expected = -np.mean(np.log(counts / counts.sum())[grid])
    assert test["unigram_nats_per_code"] == pytest.approx(expected, rel=1e-4)
    # It has learned from 8 steps what is frequent, but for the reconstruction both know all.
    assert test["elbo"] == pytest.approx(-test["reconstruction"] - 16 * test["prior_nats_per_code"], rel=1e-4)
    assert "bits_per_dim" not in test  # a density


def last_epoch(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))[-1]


def test_validation_figures_of_both_stages_are_those_of_the_validation_split(train, tmp_path, monkeypatch):
    """Nothing is drawn in these figures, and each split has a digit of its own, so that they tell splits apart."""
    digits = data.load("mnist", sample=True).train
    splits = data.Splits(*(digits.take(np.flatnonzero(digits.labels == digit)[:60]) for digit in (0, 1, 8)))
    monkeypatch.setattr(data, "load", lambda *_, **__: splits)
    steps = ["--epochs", "1", "--steps-per-epoch", "2", "--prior-epochs", "1", "--prior-learning-rate", "0.1"]
    metrics = train(tmp_path, *steps)
    model = load(tmp_path)
    figures, nats_per_code = {}, {}
    for part in ("train", "validation", "test"):
        x = getattr(splits, part).images / np.float32(255)
        figures[part] = model.evaluate(x, batch_size=60, verbose=0, return_dict=True)
        nats_per_code[part] = -np.mean(model.prior.log_prob(model.encode(x))) / 16
    history, of_prior = last_epoch(tmp_path / "history.csv"), last_epoch(tmp_path / "prior_transformer" / "history.csv")
    for name in ("loss", "reconstruction", "commitment"):
        assert float(history[f"val_{name}"]) == pytest.approx(figures["validation"][name], rel=1e-5)
        assert metrics["test"][name] == pytest.approx(figures["test"][name], rel=1e-5)
        assert len({round(figures[part][name], 3) for part in figures}) == 3
    assert float(of_prior["val_nats_per_code"]) == pytest.approx(nats_per_code["validation"], rel=1e-5)
    assert metrics["test"]["prior_nats_per_code"] == pytest.approx(nats_per_code["test"], rel=1e-5)
    assert min(abs(nats_per_code[part] - nats_per_code["validation"]) for part in ("train", "test")) > 1e-3


def test_metrics_say_what_the_prior_is(finished):
    output, metrics = finished
    prior = metrics["prior"]
    assert set(prior) == {
        "kind", "parameters", "epochs", "steps", "training_seconds", "training_cpu_seconds", "train"
    }  # fmt: skip
    assert (prior["kind"], prior["epochs"], prior["steps"]) == ("transformer", 2, 8)
    assert prior["parameters"] == sum(np.size(weight) for weight in load(output).prior.trainable_weights)
    assert metrics["parameters"] == sum(np.size(weight) for weight in load(output).trainable_weights)
    assert prior["train"].keys() == {"loss", "nats_per_code", "val_loss", "val_nats_per_code"}
    assert prior["training_seconds"] > 0
    assert (metrics["epochs"], metrics["steps"]) == (2, 8)


def test_saved_model_draws_from_the_prior(finished):
    samples = np.asarray(load(finished[0]).sample(3, seed=1))
    assert samples.shape == (3, 28, 28, 1)
    assert np.array_equal(samples, load(finished[0]).sample(3, seed=1))


# Stopping and going on.


@pytest.mark.parametrize(
    "stage, steps",
    [
        ("in_prior", (6,)),
        *(
            pytest.param(stage, steps, marks=pytest.mark.slow)
            for stage, steps in (("in_model", (2,)), ("in_prior", (2,)), ("in_prior", (4, 6)))
        ),
    ],
)
def test_interrupted_run_goes_on_as_if_nothing_had_happened(finished, train, tmp_path, capsys, stage, steps):
    for step in steps:
        assert exit_code(train, tmp_path, **{stage: At(step, interrupt)}) == 130
        prefix = "prior: " if stage == "in_prior" else ""
        assert f"{prefix}stopped at step {step} of 8; run the same command" in capsys.readouterr().out
        assert load(tmp_path).can_sample == (stage == "in_prior")
        assert not (tmp_path / "metrics.json").exists()
    metrics = train(tmp_path)
    assert f"{prefix}resuming at step {step} of 8\n" in capsys.readouterr().out
    assert_same_model(tmp_path, finished[0])
    assert metrics["test"] == pytest.approx(finished[1]["test"], rel=1e-4)
    assert len(rows(tmp_path / "prior_transformer" / "history.csv")) == 3


def test_run_interrupted_between_the_stages_goes_on(finished, train, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(codes, "encode", lambda *_: interrupt())
        assert exit_code(train, tmp_path) == 130
    assert not load(tmp_path).can_sample
    train(tmp_path, in_model=At(None, no_step))
    assert_same_model(tmp_path, finished[0])


def test_finished_run_trains_no_further_step_and_says_so(finished, copy, train, capsys):
    (copy / "model.keras").unlink()
    metrics = train(copy, in_model=At(None, no_step), in_prior=At(None, no_step))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "resuming at step 8 of 8"
    assert lines[2] == f"transformer over 4×4 codes: {finished[1]['prior']['parameters']:,} parameters"
    assert lines[3] == "prior: resuming at step 8 of 8"
    assert lines[4].startswith("test: ") and "prior_nats_per_code" in lines[4] and len(lines) == 6
    assert_same_model(copy, finished[0])
    assert metrics["test"] == pytest.approx(finished[1]["test"], rel=1e-6)
    assert metrics["prior"] == finished[1]["prior"]


def test_more_epochs_of_the_prior_alone(copy, train, capsys):
    metrics = train(copy, "--prior-epochs", "3", in_model=At(None, no_step))
    assert "prior: resuming at step 8 of 12" in capsys.readouterr().out
    assert (metrics["epochs"], metrics["prior"]["epochs"]) == (2, 3)


@pytest.mark.long
def test_another_prior_takes_the_model_as_it_is_and_leaves_the_first(finished, copy, train, capsys):
    metrics = train(copy, "--prior", "pixelcnn", in_model=At(None, no_step))
    assert metrics["prior"]["kind"] == "pixelcnn" and metrics["prior"]["steps"] == 8
    assert isinstance(load(copy).prior, zoo.priors.PixelCNN)
    train(copy, in_model=At(None, no_step), in_prior=At(None, no_step))
    assert_same_model(copy, finished[0])
    assert (copy / "prior_pixelcnn").is_dir()


@pytest.mark.long
def test_prior_is_trained_anew_once_the_model_is_trained_further_and_may_have_other_settings(copy, train, capsys):
    flags = ("--epochs", "3", "--prior-learning-rate", "0.01")
    metrics = train(copy, *flags)
    printed = capsys.readouterr().out
    assert "prior: starting over, as the model that it was trained for has changed since\n" in printed
    assert "prior: resuming" not in printed
    assert (metrics["steps"], metrics["prior"]["steps"]) == (12, 8)
    folder = copy / "prior_transformer"
    assert len(rows(folder / "history.csv")) == 3
    assert settings_of(folder / "checkpoints" / "step-00000008")["run"]["prior_learning_rate"] == "0.01"
    train(copy, *flags, in_model=At(None, no_step), in_prior=At(None, no_step))


@pytest.mark.long
def test_other_settings_of_the_prior_are_refused(finished, copy, train, capsys):
    assert exit_code(train, copy, "--prior-batch-size", "50") == 1
    error = capsys.readouterr().err
    assert "prior_batch_size was '100' and is '50'" in error
    folder = copy / "prior_transformer"
    assert f"The run in {folder} cannot resume" in error and "remove that folder to start it over" in error
    shutil.rmtree(folder)
    assert train(copy, "--prior-batch-size", "50", in_model=At(None, no_step))["prior"]["steps"] == 8


@pytest.mark.slow  # test_run.py has the model, and a prior starts over where its model has changed
def test_fresh_starts_both_over(finished, copy, train, capsys):
    executions = collections.Counter()
    count = {stage: At(None, functools.partial(executions.update, [stage])) for stage in ("in_model", "in_prior")}
    train(copy, "--fresh", **count)
    assert "resuming" not in capsys.readouterr().out
    assert executions == {"in_model": 4, "in_prior": 4}  # of two steps each: all were trained
    assert_same_model(copy, finished[0])


def test_no_prior(copy, train, pictures):
    metrics = train(copy, "--prior", "none", in_model=At(None, no_step))
    assert "prior" not in metrics and "elbo" not in metrics["test"]
    assert not load(copy).can_sample
    assert not (copy / "samples.png").exists()  # it showed the prior that was


@pytest.mark.slow
def test_model_of_a_run_from_before_there_were_priors_goes_on(finished, copy, train):
    """Its checkpoints know less of its settings: nothing of a flag that came later."""
    shutil.rmtree(copy / "prior_transformer")
    for folder in (copy / "checkpoints").iterdir():
        state = settings_of(folder)
        assert not any(name.startswith("prior") for name in state["run"])
        for name in ("ema", "num_codes"):
            del state["run"][name]
        (folder / "state.json").write_text(json.dumps(state))
        checksums = json.loads((folder / "checksums.json").read_text())
        checksums["state.json"] = hashlib.sha256((folder / "state.json").read_bytes()).hexdigest()
        (folder / "checksums.json").write_text(json.dumps(checksums))
    train(copy, in_model=At(None, no_step))
    assert_same_model(copy, finished[0])
    assert exit_code(train, copy, "--num-codes", "13") == 1


def test_loss_of_the_prior_that_is_no_number_leaves_the_model(train, tmp_path, capsys):
    assert exit_code(train, tmp_path, "--prior-learning-rate", "1e30") == 1
    error = capsys.readouterr().err
    assert "tiny: The loss is " in error and "A lower --prior-learning-rate is the first thing to try" in error
    assert not load(tmp_path).can_sample


@pytest.mark.slow
def test_average_of_the_prior_is_what_is_attached(train, tmp_path):
    train(tmp_path / "once", prior_ema=0.9)
    assert exit_code(train, tmp_path / "twice", prior_ema=0.9, in_prior=At(6, interrupt)) == 130
    train(tmp_path / "twice", prior_ema=0.9)
    assert_same_model(tmp_path / "once", tmp_path / "twice")


@pytest.mark.slow  # test_run.py has the model
def test_both_stages_are_the_same_without_a_cache(finished, train, tmp_path, monkeypatch, pictures):
    kept = []
    monkeypatch.setattr(codes, "encode", lambda *args, encode=codes.encode: kept.extend(encode(*args)) or kept)
    metrics = train(tmp_path, "--no-cache")
    assert [type(grids) for grids in kept] == [disk.DiskArray] * 3
    assert_same_model(tmp_path, finished[0])
    assert metrics["test"] == pytest.approx(finished[1]["test"], rel=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in finished[0].iterdir()}


@pytest.mark.slow  # tests/conformance and tests/priors/codes train each of both on replicas
def test_both_stages_run_on_replicas(finished, train, tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "make_strategy", lambda name: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(False)  # replicas do not run otherwise
    metrics = train(tmp_path)
    tf.config.run_functions_eagerly(eager)
    for name in ("elbo", "prior_nats_per_code", "unigram_nats_per_code"):
        assert metrics["test"][name] == pytest.approx(finished[1]["test"][name], rel=0.1)


# The codes.


def test_codes_of_datasets_come_in_their_order(finished):
    model = load(finished[0])
    x = data.load("mnist", sample=True).test.images[:30] / np.float32(255)
    datasets = [tf.data.Dataset.from_tensor_slices(part).batch(8) for part in (x[:20], x[20:])]
    first, second = codes.encode(model, datasets, (20, 10))
    assert first.dtype == np.int32 and first.shape == (20, 4, 4)
    assert np.array_equal(np.concatenate([first, second]), model.encode(x))


def test_unigram_is_the_cross_entropy_of_frequencies():
    training_codes, test_codes = np.array([[0, 0], [0, 1]]), np.array([[[0, 2]]])
    # Counts of 3, 1, 0 become 4, 2, 1 of 7.
    expected = -(np.log(4 / 7) + np.log(1 / 7)) / 2
    assert codes.unigram_nats_per_code(training_codes, test_codes, 3) == pytest.approx(expected)


def test_fingerprint_is_that_of_the_weights(finished):
    model, again = load(finished[0]), load(finished[0])
    before = codes.fingerprint(model)
    assert before == codes.fingerprint(again) and len(before) == 16
    bias = model.decoder.weights[-1]
    bias.assign(bias + 1e-6)
    assert codes.fingerprint(model) != before


def test_the_bound_of_eight_bit_values_has_its_bits_per_dim(monkeypatch):
    """Twelve values at four bits."""
    monkeypatch.setattr(prior_stage.evaluation, "log_prob", lambda model, batches: {"log_prob": -48.0 * np.log(2.0)})
    model = types.SimpleNamespace(likelihood=zoo.likelihoods.DiscretizedLogistic(), image_shape=(2, 2, 3))
    assert prior_stage._bound(model, []) == pytest.approx({"elbo": -48.0 * np.log(2.0), "bits_per_dim": 4.0})


def test_a_stage_that_starts_over_leaves_the_files_of_others_and_no_empty_folder(tmp_path):
    events, notes = (tmp_path / "logs" / name for name in ("train/events.out.tfevents.1", "mine/notes.txt"))
    for path in (tmp_path / "checkpoints" / "step-00000001" / "state.json", events, notes):
        path.parent.mkdir(parents=True)
        path.write_text("")
    stage._clear(tmp_path)
    assert [*tmp_path.rglob("*")] == [tmp_path / "logs", notes.parent, notes]
