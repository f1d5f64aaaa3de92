"""A sharp decoder as the last stage of a run: the same codes, resuming, and a training that diverges."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import callbacks, data, networks, training

WATCHED = []  # what GoBack got in the run of `finished`


def build_tiny(flags, image_shape, seed):
    encoder = networks.residual_encoder(image_shape, 4, filters=4, blocks=0)
    decoder = networks.residual_decoder((7, 7, 4), 1, filters=4, blocks=0)
    return zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(8, 4, seed=seed), zoo.likelihoods.Gaussian(0.2))


def run(output, *argv):
    sharp = training.Sharp(epochs=2, sample_epochs=2, learning_rate=1e-2, filters=4, steps_per_execution=1)
    recipe = training.Recipe(
        "tiny", "A tiny recipe.", (28, 28, 1), build_tiny, "mnist", sharp=sharp, batch_size=20, steps_per_execution=1
    )
    shared = ["--sample", "--epochs", "1", "--steps-per-epoch", "3", "--no-export", "--parts", "1"]
    return training.main(recipe, [*shared, "--output", str(output), *argv])


@pytest.fixture(scope="module", autouse=True)
def _samples(few_samples):
    """In place of the one in conftest.py."""


@pytest.fixture(scope="module", autouse=True)
def _eager():
    """Functions of so few steps take longer to trace than to run."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def finished(_eager, tmp_path_factory):
    """A plain run that then got a sharp decoder: folder, figures of both, and the plain model."""
    output = tmp_path_factory.mktemp("finished")
    plain = run(output)
    model = keras.saving.load_model(output / "model.keras")
    own = callbacks.GoBack.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.GoBack, "__init__", lambda self, *data: (WATCHED.append(data), own(self, *data))[1])
        return output, plain, run(output, "--decoder", "sharp"), model


def weights(output):
    model = keras.saving.load_model(output / "model.keras")
    return model.encoder.get_weights() + model.quantizer.get_weights(), model.decoder.get_weights()


def equal(one, other):
    return all(map(np.array_equal, one, other))


@pytest.mark.long
def test_a_run_goes_on_with_the_decoder_alone(finished, capsys):
    output, plain, sharp, model = finished
    codes, decoder = weights(output)
    assert equal(codes, model.encoder.get_weights() + model.quantizer.get_weights())
    assert not equal(decoder, model.decoder.get_weights())
    about = sharp["decoder"]
    assert (about["kind"], about["status"], about["epochs"], about["steps"]) == ("sharp", "complete", 2, 6)
    assert about["plain"]["mse"] == pytest.approx(plain["test"]["mse"], rel=1e-5)
    assert sharp["test"]["mse"] != pytest.approx(plain["test"]["mse"], rel=1e-5)
    header = (output / "decoder_sharp" / "history.csv").read_text().splitlines()[0]
    assert header.startswith("epoch,step,") and "critic_loss" in header and "val_perceptual" in header
    again = run(output)  # the plain decoder is still there
    assert again["test"]["mse"] == pytest.approx(plain["test"]["mse"], rel=1e-5)
    assert equal(weights(output)[1], model.decoder.get_weights())


@pytest.mark.long
def test_an_interrupted_stage_resumes_to_the_bit(finished, tmp_path, monkeypatch):
    straight, _, _, _ = finished
    run(straight, "--decoder", "sharp")
    own = callbacks.GoBack.on_train_batch_end

    def interrupt(self, batch, logs=None):
        own(self, batch, logs)
        if int(self.model.steps.value) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(callbacks.GoBack, "on_train_batch_end", interrupt)
    with pytest.raises(SystemExit):
        run(tmp_path, "--decoder", "sharp")
    monkeypatch.undo()
    run(tmp_path, "--decoder", "sharp")
    for one, other in zip(weights(straight), weights(tmp_path)):
        assert equal(one, other)


@pytest.mark.long
def test_a_training_that_diverges_ends_with_the_last_good_weights_and_status_1(finished, tmp_path, monkeypatch, capsys):
    _, _, _, model = finished
    every_step = callbacks.GoBack.__init__
    monkeypatch.setattr(
        callbacks.GoBack, "__init__", lambda self, *data: every_step(self, *data, bound=1.0001, every=1)
    )
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, "--decoder", "sharp", "--decoder-learning-rate", "300")
    error = capsys.readouterr().err
    assert caught.value.code == 1
    assert "decoder: The squared error was" in error and f"All else of the run is complete, in {tmp_path}" in error
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["decoder"]["status"] == "went back" and metrics["decoder"]["step"] < 6
    assert metrics["test"]["mse"] < 1.1 * metrics["decoder"]["plain"]["mse"]
    codes, decoder = weights(tmp_path)
    assert equal(codes, model.encoder.get_weights() + model.quantizer.get_weights())
    assert metrics["decoder"]["step"] > 0 or equal(decoder, model.decoder.get_weights())


@pytest.mark.long
def test_the_error_that_is_watched_is_of_validation_images(finished):
    images = data.load("mnist", sample=True).validation.images[:256]
    np.testing.assert_allclose(WATCHED[0][0], images / np.float32(255), atol=1e-6)


def test_wrong_flags_end_with_status_2(tmp_path, capsys):
    for flag, value in (("--decoder-learning-rate", "0"), ("--decoder-epochs", "0"), ("--decoder", "blurred")):
        with pytest.raises(SystemExit) as caught:
            run(tmp_path, flag, value)
        assert caught.value.code == 2 and flag in capsys.readouterr().err
