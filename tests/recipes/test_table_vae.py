"""The script for tables."""

import json

import numpy as np
import pytest
import resuming
import scripts

from zoo import data
from zoo.applications import TableModel

SIZES = ("--hidden", "8", "--latent-dim", "2", "--rows", "30", "--parts", "1")
SMALL = ("--epochs", "1", "--no-export", *SIZES)


@pytest.fixture(scope="module")
def script():
    return scripts.load("table_vae")


@pytest.fixture
def city():
    return np.random.default_rng(0).choice(["Bern", "Ulm"], 60)


@pytest.fixture
def path(city, tmp_path):
    age = np.random.default_rng(1).integers(20, 60, 60)
    lines = [f"{a},{'' if i % 9 == 0 else c},{i}" for i, (a, c) in enumerate(zip(age, city))]
    (tmp_path / "people.csv").write_text("\n".join(["age,city,id", *lines]))
    return tmp_path / "people.csv"


def test_a_run_on_a_csv_writes_rows_scores_and_the_model(script, path, city, tmp_path):
    flags = ("--csv", str(path), "--kinds", "id=ignore", "--given", "city=Ulm", "--output", str(tmp_path / "run"))
    metrics = script.main([*flags, *SMALL])
    assert metrics["steps"] == 50  # in an epoch of several passes
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
    _, test = data.Table.from_csv(path).cut(6)
    assert metrics["test"]["test_nats"] == pytest.approx(model.score(test).mean(), rel=1e-4)
    again = model.sample(30, 0)
    assert again["city"].tolist() == written["synthetic"]["city"].tolist()
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics
    assert (tmp_path / "run" / "table.png").stat().st_size > 1000


def test_a_table_of_texts_has_a_picture_of_their_shares(script, city, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(script.Figure, "savefig", lambda figure, path, **kwargs: shown.append(figure))
    city = np.where(np.arange(60) % 9, city, "")
    table = data.Table({"city": city, "size": np.resize(["S", "M"], 60)})
    script.plot(script.Rows(table, table, table, table), table.take(slice(20)), np.arange(60.0), None, "table.png")
    visible = [axis for axis in shown[0].axes if axis.get_visible()]
    assert [axis.get_title() for axis in visible] == ["city", "size", "−log p of the rows"]
    known, names = city[city != ""], [label.get_text() for label in visible[0].get_xticklabels()]
    shares = [[np.mean(found == name) for name in names] for found in (known, city[:20])]
    np.testing.assert_allclose([bar.get_height() for bar in visible[0].patches], np.ravel(shares))
    assert shares[0] == sorted(shares[0], reverse=True) and sum(shares[0]) == 1.0


@pytest.mark.slow
def test_a_run_stopped_within_an_epoch_ends_as_if_it_had_not_been(script, path, tmp_path, capsys):
    flags = ["--csv", str(path), "--kinds", "id=ignore", *SIZES, "--batch-size", "16"]
    resuming.assert_resumes(script.main.recipe, flags, tmp_path, capsys)


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
        (["--sample", "--given", "cultivar"], "Expected `--given` to be NAME=VALUE"),
        (
            ["--sample", "--given", "ash=1", "ash=2"],
            "Expected `--given` to be a value for each name",
        ),
        (["--sample", "--kinds", "none=ignore"], "Expected `--kinds` to be one of"),
        (["--sample", "--delimiter", ";"], "Expected `--delimiter` to be left out, as --csv is not given"),
        (["--sample", "--rows", "0"], "Expected `--rows` to be an integer >= 1"),
        (["--sample", "--given", "colour=red"], "Expected `--given` to be one of"),
        (
            ["--sample", "--given", "cultivar=zzz"],
            "Expected `--given` to be a value of the training rows for 'cultivar'",
        ),
        ([], "Expected `--csv` to be a file, or left out with --sample"),
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


@pytest.mark.long
def test_a_run_does_not_go_on_with_another_file(script, path, tmp_path, capsys):
    argv = ["--csv", str(path), "--output", str(tmp_path / "run"), *SMALL]
    script.main(argv)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *lines[:0:-1]]))  # the same rows in another order
    capsys.readouterr()
    with pytest.raises(SystemExit) as error:
        script.main(argv)
    assert error.value.code == 1
    assert "cannot resume with other settings: content of --csv was" in capsys.readouterr().err


def test_a_file_of_two_rows_is_refused(script, tmp_path, capsys):
    (tmp_path / "two.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(SystemExit):
        script.main(["--csv", str(tmp_path / "two.csv"), "--output", str(tmp_path / "run"), *SMALL])
    assert "Expected `--csv` to be a file of three rows or more" in capsys.readouterr().err


def test_a_batch_of_which_no_cell_is_hidden_trains(script, tmp_path):
    lines = [f"{i + 0.5},{2 * i + 0.5}" for i in range(10)]
    (tmp_path / "ten.csv").write_text("\n".join(["a,b", *lines]))
    flags = ["--csv", str(tmp_path / "ten.csv"), "--hide", "0.0001", "--output", str(tmp_path / "run")]
    assert script.main([*flags, *SMALL])["steps"] == 50
