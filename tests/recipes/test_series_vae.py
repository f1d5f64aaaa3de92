"""The script for series."""

import json

import numpy as np
import pytest
import scripts

from zoo import data

SMALL = ("--epochs", "2", "--filters", "4", "--latent-dim", "2", "--length", "8", "--windows", "3", "--no-export")


@pytest.fixture(scope="module")
def script():
    return scripts.load("series_vae")


def test_a_run_on_a_csv_writes_scores_samples_and_the_model(script, tmp_path):
    lines = [f"{60 * i},{np.sin(0.5 * i):.4f},{int(i == 180)}" for i in range(200)]
    (tmp_path / "pump.csv").write_text("\n".join(["t,flow,broken", *lines]))
    flags = ("--csv", str(tmp_path / "pump.csv"), "--time", "t", "--label", "broken", "--rate", "0.1")
    metrics = script.main([*flags, "--output", str(tmp_path / "run"), *SMALL])
    scores = data.Table.from_csv(tmp_path / "run" / "scores.csv")
    assert scores["time"].tolist() == [60 * i for i in range(140, 200)]
    assert scores["anomalous"].mean() == metrics["anomalous"] and scores["label"].sum() == 1
    samples = data.Table.from_csv(tmp_path / "run" / "samples.csv")
    assert len(samples) == 3 * 8 and samples.names == ("window", "step", "flow")
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics and 0 <= metrics["auroc"] <= 1
    assert (tmp_path / "run" / "series.png").stat().st_size > 1000
    assert (tmp_path / "run" / "model.keras").exists()


def test_the_made_series_has_its_faults_in_the_last_part(script):
    series = script.machine()
    assert series.values.shape == (6000, 3) and series.labels[:4200].sum() == 0
    assert series.labels.sum() == 5 * 40 + 1


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--csv", "none.csv"], "Expected none.csv to be a CSV file"),
        (["--sample", "--length", "5000"], "Expected `length` to be at most"),
        (["--sample", "--test", "1"], "Expected `--test` to be a finite number > 0"),
    ],
)
def test_wrong_flags_end_the_script_with_status_2(script, flags, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        script.main(flags)
    assert error.value.code == 2 and message in capsys.readouterr().err
