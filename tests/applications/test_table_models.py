"""A VAE of rows: columns by name in every method, in files and in the SavedModel."""

import json
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import data
from zoo.applications import TableModel, _table_rows, _table_signatures, impute
from zoo.export import runtimes
from zoo.likelihoods import GaussianColumns


def people(number=240, seed=0, missing=0.0):
    """The height follows the group, the size the height; "od ds" is a whole number of many values."""
    draw = np.random.default_rng(seed)
    group = draw.integers(0, 2, number)
    height = np.where(group == 0, -5.0, 5.0) + draw.normal(size=number)
    size = np.array(["S", "M", "L"])[np.digitize(height, (-5.0, 5.0))]
    count = np.round(100 + 10 * height + draw.normal(size=number))
    columns = {"class": np.array(["one", "two"])[group], "height": height, "size": size, "od ds": count}
    if missing:
        for name, values in columns.items():
            nothing = "" if values.dtype.kind == "U" else np.nan
            columns[name] = np.where(draw.uniform(size=number) < missing, nothing, values)
    return data.Table(columns)


def build(table, masked):
    keras.utils.set_random_seed(0)
    schema = data.Schema.of(table, levels={"size": ["S", "M", "L"]})
    rows = TableModel.build(schema, latent_dim=2, hidden=(32,), masked=masked, seed=0)
    rows.fit(table, epochs=120, batch_size=32, learning_rate=1e-2, hide=0.2 if masked else 0.0)
    return rows


@pytest.fixture(scope="module")
def whole():
    return build(people(), masked=False)


@pytest.fixture(scope="module")
def masked():
    return build(people(missing=0.1), masked=True)


@pytest.mark.slow
def test_patience_ends_with_the_best_weights():
    keras.utils.set_random_seed(0)
    few, validation = people(30), people(200, seed=1)
    rows = TableModel.build(few, latent_dim=2, hidden=(64,), seed=0)
    found = rows.fit(few, validation, epochs=2000, batch_size=32, learning_rate=1e-2, patience=3).history["val_elbo"]
    assert len(found) == np.argmax(found) + 1 + 3 and max(found) > found[-1] + 0.1
    now = rows.model.evaluate(rows.features(validation), batch_size=512, verbose=0, return_dict=True)["elbo"]
    assert abs(now - max(found)) < 0.06


@pytest.mark.parametrize("masked", [False, True])
def test_numbers_begin_with_the_scale_that_is_asked_for(masked):
    rows = TableModel.build(people(), latent_dim=2, hidden=(4,), masked=masked, initial_sigma=0.3)
    gaussian = next(each for each in rows.mixed.likelihoods if isinstance(each, GaussianColumns))
    np.testing.assert_allclose(gaussian.log_var, 2 * np.log(0.3), rtol=1e-6)


@pytest.mark.parametrize("kept", ["class", "height"])
def test_rows_of_one_kind_of_columns_have_a_model(kept):
    table = data.Table({kept: people()[kept]})
    rows = TableModel.build(table, latent_dim=2, hidden=(4,))
    sampled = rows.sample(3, seed=1)
    assert sampled.names == (kept,) and sampled[kept].dtype.kind == table[kept].dtype.kind


def test_sampled_rows_have_the_columns_and_their_dependence(whole):
    rows = whole.sample(400, seed=1)
    assert rows.names == people().names and len(rows) == 400
    assert set(rows["class"]) == {"one", "two"} and set(rows["size"]) <= {"S", "M", "L"}
    np.testing.assert_array_equal(rows["od ds"], np.round(rows["od ds"]))
    two = rows["class"] == "two"
    assert rows["height"][two].mean() > 2.0 and rows["height"][~two].mean() < -2.0
    for name in rows:
        np.testing.assert_array_equal(whole.sample(400, seed=1)[name], rows[name])
    assert not np.array_equal(whole.sample(400, seed=2)["height"], rows["height"])


def test_given_columns_are_kept_and_move_the_others(whole):
    rows = whole.sample(60, seed=1, given={"class": "two"}, candidates=64)
    assert set(rows["class"]) == {"two"} and np.mean(rows["height"] > 0) > 0.9
    by_row = np.where(np.arange(40) % 2, 5.0, -5.0)
    rows = whole.sample(40, seed=1, given={"height": by_row}, candidates=64)
    np.testing.assert_array_equal(rows["height"], by_row)
    assert np.mean((rows["class"] == "two") == (by_row > 0)) > 0.9
    first = whole.sample(3, seed=1, given={"class": "two"}, candidates=64)
    np.testing.assert_allclose(
        first["height"], whole.sample(60, seed=1, given={"class": "two"}, candidates=64)["height"][:3], rtol=1e-4
    )


def test_rows_have_as_many_candidates_as_each_call_asks_for(whole):
    """A single candidate is a sample of the prior, which what is given does not choose."""
    for candidates, low, high in ((64, 0.9, 1.0), (1, 0.3, 0.7)):
        rows = whole.sample(60, seed=1, given={"class": "two"}, candidates=candidates)
        assert low <= np.mean(rows["height"] > 0) <= high


def test_a_filling_is_of_as_many_samples_and_of_the_seed_that_are_given(masked):
    table = people(30, seed=3, missing=0.3)
    filled = masked.impute(table, num_samples=2, seed=5)["height"]
    by_hand = impute(masked.model, *masked.schema.encode(table), num_samples=2, seed=5)
    expected = masked.schema.decode(by_hand)["height"]
    np.testing.assert_array_equal(filled[table.missing("height")], expected[table.missing("height")])


@pytest.mark.filterwarnings("ignore:.*cells of the column")
def test_only_missing_cells_are_filled(masked):
    table = people(4, seed=3)
    columns = {**table.columns, "class": ["two", "three", "", "one"], "size": ["XL", "S", "M", ""]}
    filled = masked.impute(data.Table(columns), num_samples=2)
    assert filled["class"].tolist()[:2] + filled["class"].tolist()[3:] == ["two", "three", "one"]
    assert filled["size"].tolist()[:3] == ["XL", "S", "M"]
    assert filled["class"][2] in ("one", "two") and filled["size"][3] in ("S", "M", "L")


def test_the_distance_to_the_nearest_row_is_that_of_the_features(whole):
    rows, known = people(20, seed=1), people(30, seed=2)
    scale = np.ones(whole.schema.size)
    scale[whole.schema.places["class"]] = np.sqrt(0.5)
    a, b = (whole.schema.encode(each)[0] * scale for each in (rows, known))
    expected = np.sqrt(((a[:, None] - b) ** 2).sum(axis=2).min(axis=1))
    np.testing.assert_allclose(whole.nearest(rows, known), expected, atol=1e-5)
    np.testing.assert_allclose(whole.nearest(known, known), 0.0, atol=1e-6)


@pytest.mark.parametrize(
    "names", [["2020", "1x", "x"], ["ID", "id", "Id"], ["self", "seed", "class"], ["a b", "a_b", "A.b"], ["é", "日本"]]
)
def test_names_of_tensors_are_different_and_legal(names):
    schema = data.Schema.of(data.Table({name: np.arange(30.0) / 7 for name in names}))
    found = list(_table_signatures.tensor_names(schema).values())
    assert len({name.lower() for name in found}) == len(names) and "self" not in found
    assert all(name.isidentifier() and name.isascii() and name[0].isalpha() for name in found)


def test_a_whole_number_is_given_to_a_column_of_them(whole):
    with pytest.raises(ValueError, match="to be a whole number for 'od ds'"):
        whole.sample(2, given={"od ds": 30.5})


def test_the_seed_decides_the_order_of_the_rows():
    def trained(seed):
        keras.utils.set_random_seed(0)
        rows = TableModel.build(people(40), latent_dim=2, hidden=(4,), masked=False, seed=0)
        rows.fit(people(40), epochs=1, batch_size=8, seed=seed)
        return rows.model.encoder.get_weights()[0]

    one, again, other = map(trained, (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.any(one != other)


def test_the_seed_decides_what_is_hidden(masked):
    x = tf.constant(masked.features(people(50)))
    one, again, other = (masked._hidden(0.5, seed)(x)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.any(one != other)


def test_at_temperature_zero_given_columns_do_not_move_the_others(whole):
    """All candidates are then the prior's mean, and the noise of a row is that of its seed."""
    rows = whole.sample(40, seed=1, temperature=0.0, given={"class": "two"}, candidates=8)
    np.testing.assert_allclose(rows["height"], whole.sample(40, seed=1, temperature=0.0)["height"], rtol=1e-4)


def test_unknown_columns_and_categories_are_refused(whole):
    with pytest.raises(ValueError, match="Expected `given` to be one of .* Received: given='weight'"):
        whole.sample(2, given={"weight": 3.0})
    with pytest.raises(
        ValueError,
        match=r"Expected `given\['class'\]` to be a value of the training rows for 'class'. Received: .*'three'",
    ):
        whole.sample(2, given={"class": "three"})
    for value in (np.nan, "", np.array(["two", "three"], object), np.array(["two", None], object)):
        with pytest.raises(
            ValueError, match=r"Expected `given\['class'\]` to be (a value|values) of the training rows"
        ):
            whole.sample(2, given={"class": value})
    for value in (["two", "one", "two"], [["two"] * 2]):
        with pytest.raises(ValueError, match=r"Expected `given\['class'\]` to be one value, or 2"):
            whole.sample(2, given={"class": value})
    with pytest.raises(ValueError, match="Expected `candidates` to be an integer >= 1"):
        whole.sample(2, given={"class": "two"}, candidates=0)


def test_unusual_rows_have_the_highest_scores(whole):
    table = people(50, seed=3)
    odd = data.Table({"class": ["one"], "height": [5.0], "size": ["L"], "od ds": [50.0]})
    assert whole.score(odd, num_samples=16)[0] > whole.score(table, num_samples=16).max()
    np.testing.assert_allclose(
        whole.score(table, num_samples=16)[7:9], whole.score(table.take(slice(7, 9)), num_samples=16), rtol=1e-4
    )


@pytest.mark.parametrize("draw", (False, True))
def test_missing_cells_are_filled_in_and_known_ones_kept(masked, draw):
    truth = people(60, seed=5)
    table = data.Table({name: values.copy() for name, values in truth.columns.items()})
    table.columns["class"][::2] = ""
    table.columns["height"][1::2] = np.nan
    filled = masked.impute(table, draw=draw, num_samples=16)
    np.testing.assert_array_equal(filled["class"][1::2], truth["class"][1::2])
    np.testing.assert_array_equal(filled["height"][::2], truth["height"][::2])
    assert np.mean(filled["class"] == truth["class"]) > 0.9
    assert np.mean((filled["height"] - truth["height"])[1::2] ** 2) < 0.2 * truth["height"].var()
    assert not any(filled.missing(name).any() for name in filled)


def test_a_missing_number_is_refused_by_a_model_without_masks(whole):
    table = people()
    cells = table["height"].copy()
    cells[3] = np.nan
    broken = data.Table({**table.columns, "height": cells})
    for call in (whole.score, whole.fit):
        with pytest.raises(ValueError, match="without missing numbers.*masked=False.* in 'height', row 3, counted"):
            call(broken)


def test_rows_that_were_copied_have_the_distance_zero(whole):
    table = people()
    np.testing.assert_allclose(whole.nearest(table.take([3, 8]), table), 0.0, atol=1e-3)
    far = data.Table({"class": ["two"], "height": [-90.0], "size": ["S"], "od ds": [50.0]})
    assert whole.nearest(far, table)[0] > 1.0
    other = data.Table({name: values.copy() for name, values in table.take([3]).columns.items()})
    other.columns["class"][0] = "two" if other["class"][0] == "one" else "one"
    np.testing.assert_allclose(whole.nearest(other, table.take([3])), 1.0, atol=1e-5)  # another category


def test_a_file_keeps_columns_and_rows(masked, tmp_path):
    masked.save(tmp_path / "rows.keras")
    again = TableModel.load(tmp_path / "rows.keras")
    assert again.masked and again.schema.columns == masked.schema.columns
    for name, values in masked.sample(20, seed=3).columns.items():
        np.testing.assert_array_equal(again.sample(20, seed=3)[name], values)


def test_a_saved_model_takes_and_gives_columns_by_name(masked, tmp_path, capsys):
    path = masked.export(tmp_path / "rows")
    about = json.loads((path / "assets.extra" / "table.json").read_text())
    assert about["tensors"] == {"class": "class_", "height": "height", "size": "size", "od ds": "od_ds"}
    assert data.Schema.from_config(about).columns == masked.schema.columns
    loaded = tf.saved_model.load(str(path)).signatures
    seeds = tf.constant(zoo.random.row_seeds(3, 20))
    drawn = loaded["sample_columns"](seed=seeds, temperature=tf.ones(20))
    wanted = masked.sample(20, seed=3)
    assert drawn["class_"].numpy().astype(str).tolist() == wanted["class"].tolist()
    assert drawn["size"].numpy().astype(str).tolist() == wanted["size"].tolist()
    for name, tensor in (("height", "height"), ("od ds", "od_ds")):
        np.testing.assert_allclose(drawn[tensor], wanted[name], rtol=1e-4)
    table = people(6, seed=1, missing=0.2)
    given = {"class_": tf.constant(table["class"]), "size": tf.constant(table["size"])}
    given |= {"height": tf.constant(table["height"], tf.float32), "od_ds": tf.constant(table["od ds"], tf.float32)}
    x = masked.features(table)
    np.testing.assert_allclose(loaded["encode_columns"](**given)["mean"], masked.model.encode(x)["mean"], atol=1e-4)
    log_prob = loaded["log_prob_columns"](**given, seed=seeds[:6])["log_prob"]
    np.testing.assert_allclose(log_prob, masked.model.log_prob(x, 1, seeds[:6]), rtol=1e-4)
    rebuilt = loaded["reconstruct_columns"](**given)
    expected = masked.schema.decode(np.asarray(masked.model.reconstruct(x))[:, : masked.schema.size])
    assert rebuilt["class_"].numpy().astype(str).tolist() == expected["class"].tolist()
    assert "sample_columns" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "wrong"), [("height", np.nan), ("stars", np.nan), ("stars", 1000.0), ("class", "")])
def test_signatures_of_a_model_without_masks_give_nan_where_a_number_is_missing(name, wrong):
    table = data.Table({"height": np.arange(8.0) + 0.5, "stars": np.arange(8) % 3, "class": ["a", "b"] * 4})
    rows = TableModel.build(table, latent_dim=2, hidden=(4,), masked=False, seed=0)
    found, cases = _table_signatures.of(rows.model, rows.schema, False)
    given = {column: tf.constant(values) for column, values in cases["log_prob_columns"].items()}
    assert [*found["log_prob_columns"].inputs] == ["height", "stars", "class_", "seed"]
    changed = given.copy()
    tensor = "class_" if name == "class" else name
    changed[tensor] = tf.concat(
        [given[tensor][:3], tf.constant([wrong], given[tensor].dtype), given[tensor][4:]], axis=0
    )
    is_answered = name == "class"  # a category that is not known counts nothing
    nats = found["log_prob_columns"].call(**changed)["log_prob"].numpy()
    expected = found["log_prob_columns"].call(**given)["log_prob"].numpy()
    assert np.isfinite(nats[3]) == is_answered and np.isfinite(expected).all()
    np.testing.assert_array_equal(nats[[0, 1, 2, 4, 5, 6, 7]], expected[[0, 1, 2, 4, 5, 6, 7]])
    del changed["seed"]
    rebuilt = found["reconstruct_columns"].call(**changed)
    assert np.isfinite(rebuilt["height"].numpy()[3]) == (rebuilt["class_"].numpy()[3] != b"") == is_answered
    assert np.isfinite(found["encode_columns"].call(**changed)["mean"].numpy()[3]).all() == is_answered


@pytest.mark.slow  # a SavedModel has it too, above
def test_a_tflite_file_has_the_schema_beside_it(whole, tmp_path):
    path = whole.export(tmp_path / "rows.tflite")
    schema = data.Schema.from_config(json.loads((tmp_path / "rows.table.json").read_text()))
    seeds = np.asarray(zoo.random.row_seeds(3, 6))
    x = runtimes.LiteRT(path).run("sample_observed", seed=seeds, temperature=np.ones(6, np.float32))["x"]
    found, wanted = schema.decode(x), whole.sample(6, seed=3)
    assert found["class"].tolist() == wanted["class"].tolist()
    np.testing.assert_allclose(found["height"], wanted["height"], rtol=1e-3)


def test_other_models_are_refused(masked):
    encoder, decoder = zoo.networks.mlp_encoder((4,), 2, (8,)), zoo.networks.mlp_decoder((4,), 2, (8,))
    with pytest.raises(ValueError, match="Expected `model` to be a zoo.VAE of tables"):
        TableModel(zoo.VAE(encoder, decoder))
    with pytest.raises(ValueError, match="Expected `masked` to be True or False"):
        TableModel.build(masked.schema)
    with pytest.raises(ValueError, match="Expected `hide` to be 0 for a model without masks"):
        TableModel.build(masked.schema, masked=False).fit(people(20), hide=0.5)
    few = people(20)
    for wrong in ({"patience": 2}, {"patience": 0, "validation": few}, {"learning_rate": float("nan")}):
        with pytest.raises(ValueError, match=f"Expected `{next(iter(wrong))}` to be "):
            TableModel.build(few).fit(few, **wrong)
    assert TableModel.build(people(20)).masked is False and TableModel.build(people(missing=0.3)).masked


def test_no_rows_are_named(whole):
    none, table = people(20).take([]), people(20)
    for call in (whole.fit, whole.score):
        with pytest.raises(ValueError, match="Expected `table` to be one of one row or more. Received: table='0 rows'"):
            call(none)
    with pytest.raises(ValueError, match="Expected `training` to be a table of one row or more"):
        whole.nearest(table, none)


def test_a_filled_table_keeps_the_columns_that_the_schema_does_not_have(masked):
    table = people(6, seed=5, missing=0.3)
    names = [f"row {number}" for number in range(6)]
    more = data.Table({"name": names, **table.columns})
    filled = masked.impute(more, num_samples=2)
    assert filled.names == more.names and filled["name"].tolist() == names


def test_a_pass_that_is_begun_is_trained_to_its_end():
    rows = TableModel.build(people(20), latent_dim=2, hidden=(4,), seed=0)
    assert len(rows.fit(people(20), epochs=60, batch_size=32).history["loss"]) == 2  # of 50 steps each


def test_the_chance_that_chooses_a_candidate_is_none_of_its_own_noise():
    """Where nothing is known, the one chosen of two standard normal latents is standard normal: z² is 1 on average."""
    own = {"latents": lambda seeds, _: zoo.random.normal(seeds, (1,)), "decoded": lambda z: z}
    own["data_of"] = lambda chosen, *_, **__: chosen
    model = types.SimpleNamespace(functions={}, parts_of_graphs=[], ids_of_parts=list, **own)
    alike = types.SimpleNamespace(observed_log_prob=lambda x, *_: 0.0 * x[:, 0])
    nothing = tf.zeros((4000, 1))
    z = _table_rows._compiled(model, alike, 1, 2)(nothing, nothing, tf.range(4000), nothing[:, 0]).numpy()
    assert abs(np.mean(np.square(z)) - 1.0) < 4 * np.sqrt(2 / 4000)


def test_candidates_are_chosen_by_chance_where_nothing_is_known(whole):
    size, seeds = whole.schema.size, tf.range(20)
    nothing, warm = tf.zeros((20, size)), tf.ones(20)
    one, four = (
        _table_rows._compiled(whole.model, whole.mixed, size, number)(nothing, nothing, seeds, warm).numpy()
        for number in (1, 4)
    )
    assert 8 <= np.any(one != four, axis=1).sum() < 20  # of four candidates the first is one
