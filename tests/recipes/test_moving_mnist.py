"""The scripts for moving digits."""

import json

import keras
import numpy as np
import pytest
import resuming
import scripts
import tensorflow as tf

from zoo import applications
from zoo.training import clips
from zoo.training.flags import parse

TINY = ("--sample", "--size", "16", "--frames", "6", "--past", "2", "--clips", "48", "--test-clips", "6")
OF = {
    "moving_mnist_cvae": ("--filters", "4", "--latent-dim", "2", "--epochs", "1"),
    "moving_mnist_vqvae": ("--filters", "8", "--width", "8", "--epochs", "1", "--prior-epochs", "1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OF)
def test_a_run_writes_a_model_that_predicts_frames_and_exports_that_do_the_same(name, tmp_path):
    script = scripts.load(name)
    metrics = script.main([*TINY, *OF[name], "--output", str(tmp_path)])
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert len(metrics["test"]["squared_error_mean"]) == 4 and np.isfinite(metrics["test"]["elbo"])
    assert (tmp_path / "futures.gif").stat().st_size > 1000
    test = clips.floats(clips.load(parse(script.main.recipe, [*TINY, *OF[name], "--output", str(tmp_path)]).own).test)
    found = applications.futures(keras.models.load_model(tmp_path / "model.keras"), test[:2, :2], 1, seed=3)[:, 0]
    seeds = np.asarray(applications.video.random.row_seeds(3, 2))
    inputs = {"seed": seeds, "temperature": np.ones(2, np.float32)}
    exported = tf.saved_model.load(str(tmp_path / "export" / "1"))
    if name == "moving_mnist_cvae":
        made = exported.signatures["sample"](labels=test[:2, :2], **inputs)["x"]
    else:
        made = exported.signatures["continue"](x=test[:2], **inputs)["x"][:, 2:]
    np.testing.assert_allclose(made, found, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF)
def test_a_run_stopped_within_an_epoch_ends_as_if_it_had_not_been(name, tmp_path, capsys):
    few = ("--clips", "40", "--batch-size", "8", *OF[name])
    stages = ("model", "prior") if name == "moving_mnist_vqvae" else ("model",)
    resuming.assert_resumes(scripts.load(name).main.recipe, [*TINY, *few], tmp_path, capsys, stages)


@pytest.mark.parametrize(
    "name, flags, message",
    [
        ("moving_mnist_cvae", ("--past", "10"), "Expected `--past` to be below --frames, 10. Received: --past=10"),
        ("moving_mnist_cvae", ("--epochs", "0"), "Expected `--epochs` to be an integer >= 1"),
        ("moving_mnist_cvae", ("--data-dir", "x"), "Expected `--data-dir` to be left out, as --sample takes the bund"),
        ("moving_mnist_vqvae", ("--past", "3"), "Expected `--past` to be a multiple of 2"),
    ],
)
def test_flags_that_do_not_fit_are_refused_before_the_clips_are_made(name, flags, message, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        scripts.load(name).main(["--sample", *flags, "--output", str(tmp_path)])
    assert message in capsys.readouterr().err


def test_errors_are_of_the_next_frames_and_a_copy_is_of_the_last_of_the_past(monkeypatch, tmp_path):
    """Frames of 0, 0.2 and 1, of 256 pixels, and futures of 0.9."""
    monkeypatch.setattr(
        applications, "futures", lambda model, past, number, seed: np.full((len(past), number, 1, 16, 16, 1), 0.9)
    )
    frames = np.broadcast_to(np.uint8([0, 51, 255])[:, None, None, None], (2, 3, 16, 16, 1))
    found = clips.report(clips.ClipFlags(past=2), None, clips.Part(frames), tmp_path, seed=0)
    assert found["squared_error_copy"] == pytest.approx([256 * 0.8**2])
    assert found["squared_error_draw"] == pytest.approx([256 * 0.1**2])
