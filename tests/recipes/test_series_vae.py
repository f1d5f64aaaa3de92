"""The script for series."""

import json

import numpy as np
import pytest
import resuming
import scripts

from zoo import data
from zoo.applications import SeriesDetector
from zoo.training.flags import parse

SIZES = ("--filters", "4", "--latent-dim", "2", "--length", "8", "--windows", "3", "--parts", "1")
SMALL = ("--epochs", "2", "--no-export", *SIZES)


@pytest.fixture(scope="module")
def script():
    return scripts.load("series_vae")


@pytest.fixture
def pump(tmp_path):
    lines = [f"{60 * i},{np.sin(0.5 * i):.4f},{int(i == 180)}" for i in range(200)]
    (tmp_path / "pump.csv").write_text("\n".join(["t,flow,broken", *lines]))
    return ("--csv", str(tmp_path / "pump.csv"), "--time", "t", "--label", "broken")


def test_a_run_on_a_csv_writes_scores_samples_and_the_model(script, pump, tmp_path, monkeypatch):
    fitted, own = [], SeriesDetector.fit
    monkeypatch.setattr(SeriesDetector, "fit", lambda self, series: (fitted.append(series), own(self, series))[1])
    metrics = script.main([*pump, "--rate", "0.1", "--output", str(tmp_path / "run"), *SMALL])
    scores = data.Table.from_csv(tmp_path / "run" / "scores.csv")
    assert scores["time"].tolist() == [60 * i for i in range(140, 200)]
    assert scores["anomalous"].mean() == metrics["test"]["anomalous"] and scores["label"].sum() == 1
    samples = data.Table.from_csv(tmp_path / "run" / "samples.csv")
    assert len(samples) == 3 * 8 and samples.names == ("window", "step", "flow")
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics
    assert 0 <= metrics["test"]["auroc"] <= 1 and sum(metrics["windows"].values()) == 113 + 13 + 53
    assert (tmp_path / "run" / "series.png").stat().st_size > 1000
    assert (tmp_path / "run" / "model.keras").exists()
    assert [each.times[[0, -1]].tolist() for each in fitted] == [[60 * 120, 60 * 139]]  # the validating steps alone


def test_a_run_stopped_within_an_epoch_ends_as_if_it_had_not_been(script, pump, tmp_path, capsys):
    resuming.assert_resumes(
        script.main.recipe, [*pump, "--rate", "0.1", *SIZES, "--batch-size", "16"], tmp_path, capsys
    )


def test_the_made_series_has_its_faults_in_the_last_part(script):
    series = script.machine()
    assert series.values.shape == (6000, 3) and series.labels[:4200].sum() == 0
    assert series.labels.sum() == 5 * 40 + 1


def test_labelled_steps_neither_train_nor_set_the_threshold(script, tmp_path):
    lines = [f"{np.sin(0.5 * i):.4f},{int(i in (30, 130))}" for i in range(200)]
    (tmp_path / "a.csv").write_text("\n".join(["flow,broken", *lines]))
    flags = ["--csv", str(tmp_path / "a.csv"), "--label", "broken", "--length", "8", "--rate", "0.1"]
    train, validation, test = script.parts(parse(script.main.recipe, flags).own)
    assert [(piece.start, piece.stop) for piece in train.segments] == [(0, 30), (31, 120)]
    assert [(piece.start, piece.stop) for piece in validation.segments] == [(0, 10), (11, 20)]
    assert len(test.segments) == 1 and len(test) == 60


def test_a_rate_that_the_validating_steps_cannot_hold_is_refused_before_training(script, pump, tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        script.main([*pump, "--rate", "0.04", "--output", str(tmp_path / "run"), *SMALL])
    assert error.value.code == 2 and not (tmp_path / "run").exists()
    assert "`--rate` to be at least 1/21, as 20 validating steps allow no lower one" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "Expected `--csv` to be a file, or left out with --sample"),
        (["--sample", "--length", "5000"], "Expected `--length` to be at most 3600, the longest piece without gaps or"),
        (["--sample", "--length", "700"], "labelled steps of the validating tenth"),
        (["--sample", "--time", "t"], "Expected `--time` to be left out, as --csv is not given"),
        (["--sample", "--gaps", "cut"], "Expected `--gaps` to be left out, as --csv is not given"),
        (["--sample", "--test", "1"], "Expected `--test` to be a finite number > 0"),
    ],
)
def test_wrong_flags_end_the_script_with_status_2(script, flags, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        script.main(flags)
    assert error.value.code == 2 and message in capsys.readouterr().err


def test_a_file_that_is_not_there_ends_it_with_status_1(script, capsys, tmp_path):
    with pytest.raises(SystemExit) as error:
        script.main(["--csv", "none.csv", "--output", str(tmp_path)])
    assert error.value.code == 1 and "Expected none.csv to be a CSV file" in capsys.readouterr().err
