"""The script for sounds."""

import json

import numpy as np
import pytest
import resuming
import scripts

from zoo import data


@pytest.fixture(scope="module")
def script():
    return scripts.load("spoken_digit_vqvae")


SIZES = {"vqvae": ("--codes", "8", "--depth", "2", "--filters", "8"), "vae": ("--latent-dim", "2")}
SMALL = ("--samples", "1024", *SIZES["vqvae"], "--batch-size", "8")


@pytest.fixture
def folder(tmp_path):
    made = data.made_digits(40, samples=1024)
    (tmp_path / "wav").mkdir()
    for name, waveform in zip(made.names, made.waveforms):
        data.write_wav(tmp_path / "wav" / f"sound{name}.wav", waveform, made.rate)
    return ("--wav", str(tmp_path / "wav"))


@pytest.mark.slow
def test_a_run_on_a_folder_writes_sounds_and_figures(script, folder, tmp_path):
    argv = [*folder, *SMALL, "--epochs", "1", "--no-export", "--prior", "none", "--output", str(tmp_path / "run")]
    metrics = script.main(argv)
    test = metrics["test"]
    originals, reconstructions = (
        data.read_wav(tmp_path / "run" / f"{name}.wav") for name in ("originals", "reconstructions")
    )
    assert len(originals) == len(reconstructions) and len(originals) % 1024 == 0
    assert np.abs(originals).max() == pytest.approx(0.9, abs=1e-3)
    # 2 places along time of 2 levels of 3 bits, for 1024 samples at 8,000 a second.
    assert test["bits_per_second"] == 2 * 2 * 3 * 8000 / 1024 and test["log_spectral_distance_reconstructions"] > 0
    assert 0 <= test["accuracy_reconstructions"] <= 1
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics
    assert (tmp_path / "run" / "sounds.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vqvae", "vae"])
def test_a_run_stopped_within_an_epoch_ends_as_if_it_had_not_been(script, folder, model, tmp_path, capsys):
    stages = ("model", "prior") if model == "vqvae" else ("model",)
    argv = [*folder, "--samples", "1024", "--batch-size", "8", "--model", model, *SIZES[model]]
    resuming.assert_resumes(script.main.recipe, argv, tmp_path, capsys, stages)


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--sample", "--wav", "x"], "Expected `--wav` to be left out with --sample"),
        (["--sample", "--samples", "1000"], "Expected `--samples` to be a multiple of 512"),
        (["--sample", "--rate", "16000"], "Expected `--rate` to be left out, as --wav is not given"),
        (["--wav", "x", "--data-dir", "y"], "Expected `--data-dir` to be left out, as --wav names the sounds"),
        (["--sample", "--model", "vae", "--codes", "7"], "Expected `--codes` to be left out, as --model is vae"),
        (["--sample", "--latent-dim", "7"], "Expected `--latent-dim` to be left out, as --model is vqvae"),
        (["--sample", "--model", "vae", "--prior-epochs", "7"], "Expected `--prior-epochs` to be left out"),
    ],
)
def test_wrong_flags_end_the_script_with_status_2(script, flags, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        script.main(flags)
    assert error.value.code == 2 and message in capsys.readouterr().err


def test_a_folder_that_is_not_there_ends_it_with_status_1(script, capsys, tmp_path):
    with pytest.raises(SystemExit) as error:
        script.main(["--wav", "none", "--output", str(tmp_path)])
    assert error.value.code == 1 and "Expected none to be a folder with WAV files" in capsys.readouterr().err
