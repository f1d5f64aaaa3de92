"""The script for texts."""

import json

import pytest
import scripts

from zoo import data, training
from zoo.applications import TextModel
from zoo.training.flags import parse

SMALL = ("--width", "8", "--depth", "1", "--latent-dim", "2", "--batch-size", "16", "--parts", "1")


@pytest.fixture(scope="module")
def script():
    return scripts.load("text_vae")


@pytest.fixture
def text(tmp_path):
    pairs = [f"{colour} {thing}" for colour in ("red", "blue") for thing in ("car", "dog")]
    lines = [f"A {pair} number {number}." for number in range(20) for pair in pairs]
    (tmp_path / "text.txt").write_text("\n".join([*lines, "x" * 50]))
    return tmp_path / "text.txt"


def own(script, *flags):
    return parse(script.main.recipe, flags).own


def test_lines_become_tokens_and_those_that_are_too_long_are_named(script, text, capsys):
    flags = own(script, "--text", str(text), "--length", "30", *SMALL[:6])
    vocabulary, parts = script.corpus(flags)
    assert sum(map(len, parts)) == 80
    assert "1 lines of more than 29 tokens are left out, first 81" in capsys.readouterr().out
    splits = script.load(flags, (30,), None)
    assert vocabulary.decode(splits.test) == list(parts[2].lines)
    model = script.build(flags, (30,), 0)
    assert model.image_shape == script.main.recipe.shape(flags) == (30,)
    assert (model.decoder.word_dropout, model.free_bits, model.latent_dim) == (0.3, 0.25, 2)


def test_the_sample_is_smaller_and_its_weight_of_the_kl_ends_at_one(script):
    flags = own(script, "--sample")
    assert (flags.length, flags.width, flags.latent_dim) == (40, 96, 16)
    (warmup,) = script.callbacks(flags, 100)
    assert (warmup.steps, warmup.cycles, warmup.ratio) == (90, 4, 0.5)
    assert isinstance(script.main.recipe, training.Recipe)


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "Expected `--text` to be a file, or left out with --sample"),
        (["--sample", "--text", "x"], "Expected `--text` to be a file, or left out with --sample"),
        (["--sample", "--length", "1"], "Expected `--length` to be an integer >= 2"),
        (["--sample", "--cycles", "0"], "Expected `--cycles` to be an integer >= 1"),
    ],
)
def test_wrong_flags_end_the_script_with_status_2(script, flags, message, capsys):
    with pytest.raises(SystemExit) as error:
        script.main(flags)
    assert error.value.code == 2 and message in capsys.readouterr().err


def test_a_single_test_line_is_refused_before_training(script, tmp_path, capsys):
    parts = data.Text([f"line number {number}" for number in range(100)]).split()  # by hashes of the lines
    chosen = [line for part, number in zip(parts, (20, 3, 1)) for line in part.lines[:number]]
    (tmp_path / "a.txt").write_text("\n".join(chosen))
    with pytest.raises(SystemExit):
        script.main(["--text", str(tmp_path / "a.txt"), "--output", str(tmp_path / "run"), *SMALL])
    assert "Expected `--text` to be a file with two or more test lines" in capsys.readouterr().err


def test_a_text_that_is_not_there_ends_it_with_status_1(script, tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        script.main(["--text", str(tmp_path / "none"), "--output", str(tmp_path / "run")])
    assert error.value.code == 1 and "to be a text file" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_writes_sentences_and_exports_and_goes_on_where_it_stopped(script, text, tmp_path, capsys):
    flags = ["--text", str(text), "--length", "30", *SMALL, "--output", str(tmp_path / "run")]
    script.main([*flags, "--epochs", "1", "--no-export"])
    metrics = script.main([*flags, "--epochs", "2"])
    steps = -(-metrics["lines"]["train"] // 16)
    assert f"resuming at step {steps} of {2 * steps}" in capsys.readouterr().out
    assert metrics["steps"] == 2 * steps and sum(metrics["lines"].values()) == 80
    assert {"elbo", "kl", "perplexity", "tokens_reconstructed"} <= set(metrics["test"])
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics
    sentences = (tmp_path / "run" / "sentences.txt").read_text()
    assert "Reconstructions" in sentences and "Interpolations" in sentences
    assert TextModel.load(tmp_path / "run" / "model.keras").vocabulary.length == 30
    export = tmp_path / "run" / "export"
    assert (export / "1" / "assets.extra" / "text.json").exists() and (export / "model.tflite").exists()
    assert "the lines of" in json.loads((export / "card.json").read_text())["training_data"]
