"""The script for tables."""

import json

import numpy as np
import pytest
import scripts

from zoo import data
from zoo.applications import TableModel

SMALL = ("--epochs", "20", "--hidden", "8", "--latent-dim", "2", "--rows", "30", "--no-export")


@pytest.fixture(scope="module")
def script():
    return scripts.load("table_vae")


def test_a_run_on_a_csv_writes_rows_scores_and_the_model(script, tmp_path):
    draw, path = np.random.default_rng(0), tmp_path / "people.csv"
    age, city = draw.integers(20, 60, 60), draw.choice(["Bern", "Ulm"], 60)
    lines = [f"{a},{'' if i % 9 == 0 else c},{i}" for i, (a, c) in enumerate(zip(age, city))]
    path.write_text("\n".join(["age,city,id", *lines]))
    flags = ("--csv", str(path), "--kinds", "id=ignore", "--given", "city=Ulm", "--output", str(tmp_path / "run"))
    metrics = script.main([*flags, *SMALL])
    names = ("synthetic", "given", "imputed")
    written = {name: data.Table.from_csv(tmp_path / "run" / f"{name}.csv") for name in names}
    assert {len(written[name]) for name in ("synthetic", "given")} == {30}
    assert set(written["given"]["city"]) == {"Ulm"} and written["synthetic"].names == ("age", "city")
    known = np.arange(60) % 9 > 0
    assert written["imputed"]["city"][known].tolist() == city[known].tolist()
    assert not written["imputed"].missing("city").any()
    scores = data.Table.from_csv(tmp_path / "run" / "scores.csv")
    model = TableModel.load(tmp_path / "run" / "model.keras")
    np.testing.assert_allclose(scores["nats"], model.score(data.Table.from_csv(path)), rtol=1e-4)
    again = model.sample(30, 0)
    assert again["city"].tolist() == written["synthetic"]["city"].tolist()
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics
    assert (tmp_path / "run" / "table.png").stat().st_size > 1000


def test_the_sample_hides_cells_and_measures_them(script):
    truth, table = script.wines()
    hidden = [table.missing(name).mean() for name in table]
    assert len(truth) == 178 and 0.03 < np.mean(hidden) < 0.07
    rows = script.Rows(table, table, table, table, truth)
    perfect = script.imputation_error(rows, truth)
    assert perfect == {"imputed_nmse": 0.0, "imputed_wrong": 0.0}
    means = {name: np.full(178, v.mean() if v.dtype.kind == "f" else "") for name, v in truth.columns.items()}
    bad = script.imputation_error(rows, data.Table(means))
    assert 0.7 < bad["imputed_nmse"] < 1.3 and bad["imputed_wrong"] == 1.0


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--csv", "none.csv"], "Expected none.csv to be a CSV file"),
        (["--sample", "--given", "cultivar"], "Expected `--given` to be NAME=VALUE"),
        (["--sample", "--rows", "0"], "Expected `--rows` to be an integer >= 1"),
        ([], "--csv --sample is required"),
    ],
)
def test_wrong_flags_end_the_script_with_status_2(script, flags, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        script.main(flags)
    assert error.value.code == 2 and message in capsys.readouterr().err
