"""Presets of a small model: found by name, folder and hub; damaged, missing and foreign files are named."""

import json
import pathlib
import shutil
import sys
import types
import zipfile

import keras
import numpy as np
import pytest

import zoo
from zoo import networks, presets
from zoo.presets import manifest, saving
from zoo.runtime import shipped

CARD = {"name": "small", "description": "A small VAE", "license": "MIT"}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    encoder, decoder = networks.mlp_encoder((4, 4, 1), 2, (8,)), networks.mlp_decoder((4, 4, 1), 2, (8,))
    return zoo.VAE(encoder, decoder, free_bits=0.25, seed=3)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    images = np.random.default_rng(0).uniform(size=(5, 4, 4, 1)).astype("float32")
    target = tmp_path_factory.mktemp("saved") / "small"
    return zoo.save_preset(model, target, "A small VAE", {"license": "MIT"}, images)


@pytest.fixture
def folder(saved, tmp_path):
    return pathlib.Path(shutil.copytree(saved, tmp_path / "small"))


def test_saved_and_loaded(model, saved):
    loaded = zoo.from_preset(saved)
    assert loaded.free_bits == 0.25
    np.testing.assert_array_equal(loaded.sample(3, seed=7), model.sample(3, seed=7))
    names = {path.name for path in saved.iterdir()}
    assert names >= {"1", "model_int8.tflite", "config.json", "card.json", "README.md", "preset.json", "rest.npz"}
    assert not [path for path in saved.rglob(".*")]
    listed = {str(path.relative_to(saved)) for path in saved.rglob("*") if path.is_file()} - {"preset.json"}
    assert set(manifest.read(saved).files) == listed
    manifest.check(saved, manifest.read(saved))


def test_the_images_that_are_given_check_both_exports(saved):
    parity = json.loads((saved / "1" / "assets.extra" / "export.json").read_text())["parity"]
    assert {row["rows"] for row in parity} == {5}
    assert json.loads((saved / "model_int8.json").read_text())["quantization"]["images"] == 5


def test_a_model_of_mixed_precision_comes_back_in_float32(model, saved, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        encoder, decoder = networks.mlp_encoder((4, 4, 1), 2, (8,)), networks.mlp_decoder((4, 4, 1), 2, (8,))
        mixed = zoo.VAE(encoder, decoder, free_bits=0.25, seed=3)
    finally:
        keras.config.set_dtype_policy("float32")
    folder = pathlib.Path(shutil.copytree(saved, tmp_path / "mixed"))
    mixed.set_weights(model.get_weights())
    saving.add_manifest(folder, mixed, "1", CARD)
    loaded = zoo.from_preset(folder)
    assert loaded.decoder.layers[-1].compute_dtype == "float32" != mixed.decoder.layers[1].compute_dtype
    np.testing.assert_array_equal(loaded.sample(3, seed=7), model.sample(3, seed=7))


def test_a_loaded_model_trains_on(saved):
    loaded = zoo.from_preset(saved)
    loaded.compile(keras.optimizers.Adam(1e-2))
    x = np.random.default_rng(0).random((16, 4, 4, 1)).astype(np.float32)
    before = loaded.evaluate(x, verbose=0, return_dict=True)["loss"]
    loaded.fit(x, epochs=20, verbose=0)
    assert loaded.evaluate(x, verbose=0, return_dict=True)["loss"] < before


def test_of_a_class(saved):
    assert isinstance(zoo.VAE.from_preset(saved), zoo.VAE)
    with pytest.raises(ValueError, match="Expected `preset` to be a CVAE. Received: preset='.*small, a VAE'"):
        zoo.CVAE.from_preset(saved)


def test_the_readme_has_the_head_of_hugging_face(saved):
    lines = (saved / "README.md").read_text().splitlines()
    assert lines[0] == "---" and "---" in lines[1:]
    assert {"library_name: keras", "license: mit"} <= set(lines)


@pytest.mark.parametrize("name", ["config.json", "rest.npz", "1/variables/variables.data-00000-of-00001"])
def test_a_damaged_file_is_named(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(presets.PresetError, match=f"{pathlib.Path(name).name} to have the SHA-256"):
        zoo.from_preset(folder)


@pytest.mark.parametrize("name", ["config.json", "rest.npz", "1/variables/variables.index"])
def test_a_missing_or_shorter_file_is_named(folder, name):
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    with pytest.raises(presets.PresetError, match=f"{pathlib.Path(name).name} to have .* bytes"):
        zoo.from_preset(folder)
    (folder / name).unlink()
    with pytest.raises(presets.PresetError, match=f"Expected the file {name} in the preset"):
        zoo.from_preset(folder)


def test_a_file_of_another_preset_is_named(folder, model):
    other = json.loads((folder / "config.json").read_text())
    other["config"]["free_bits"] = 0.5
    (folder / "config.json").write_text(json.dumps(other))
    with pytest.raises(presets.PresetError, match="The file is damaged, or from another preset"):
        zoo.from_preset(folder)


def _manifest(**changes):
    """The text of a manifest with some entries changed."""
    sound = {
        "model": "VAE",
        "config": "config.json",
        "variables": "1/v",
        "weights": [],
        "rest": "rest.npz",
        "files": {},
    }
    return json.dumps({**sound, "versions": {}, "format": 1, **changes})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "to be JSON"),
        ("[]", "to hold a JSON object"),
        ("{}", "without a `format`"),
        ('{"format": 1}', "to be the manifest of a preset"),
        (
            _manifest(files={"card.json": {"byte": 3, "sha256": ""}}),
            "to be the manifest .* Received: 'bytes'",
        ),
        (_manifest(files={"card.json": 3}), "to be the manifest .* the entry card.json of files: 3"),
        (_manifest(files=[]), r"to be the manifest .* files: \[\]"),
        (_manifest(weights=5), "to be the manifest .* weights: no list of texts"),
        (_manifest(config=None), "to be the manifest .* config: None"),
        ('{"format": 2, "versions": {"vae-zoo": "0.9"}}', "written by vae-zoo 0.9. Run: pip install --upgrade vae-zoo"),
    ],
)
def test_a_wrong_manifest(folder, content, expected):
    (folder / "preset.json").write_text(content)
    with pytest.raises(presets.PresetError, match=expected):
        zoo.from_preset(folder)


def test_a_folder_that_is_no_preset(tmp_path):
    with pytest.raises(presets.PresetError, match="a folder with nothing"):
        zoo.from_preset(tmp_path)
    with pytest.raises(presets.PresetError, match="Expected the folder of a preset. Received: .*, which is no folder"):
        zoo.from_preset(tmp_path / "missing")


def test_an_unknown_name_gets_the_nearest(saved, monkeypatch):
    monkeypatch.setattr(shipped, "folder", lambda: saved.parent)
    assert zoo.list_presets() == {"small": "A small VAE"}
    assert presets.find("small") == saved
    with pytest.raises(presets.PresetError, match="Received: 'smal'. Did you mean 'small'. There are small."):
        zoo.from_preset("smal")


@pytest.mark.parametrize(
    ("address", "package", "function", "asked"),
    [
        ("hf://user/small", "huggingface_hub", "snapshot_download", "user/small"),
        ("kaggle://user/small/keras/base", "kagglehub", "model_download", "user/small/keras/base"),
    ],
)
def test_hubs(saved, monkeypatch, address, package, function, asked):
    """By clients that stand in for those of the hubs: no network is used."""
    calls = []

    def download(name):
        calls.append(name)
        return str(saved)

    client = types.ModuleType(package)
    client.__spec__ = types.SimpleNamespace(name=package)
    setattr(client, function, download)
    monkeypatch.setitem(sys.modules, package, client)
    assert presets.find(address) == saved
    assert calls == [asked]

    def fail(name):
        raise RuntimeError("404: no such repository")

    setattr(client, function, fail)
    with pytest.raises(presets.PresetError, match=f"Expected a preset at {address}. Received: RuntimeError: 404"):
        presets.find(address)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'vae-zoo\[hub\]'"):
        presets.find(address)


def test_a_folder_in_the_format_of_keras(model, tmp_path):
    model.save(tmp_path / "m.keras")
    zipfile.ZipFile(tmp_path / "m.keras").extractall(tmp_path / "folder")
    np.testing.assert_array_equal(zoo.from_preset(tmp_path / "folder").sample(2, seed=1), model.sample(2, seed=1))


def test_save_preset_refuses_what_it_would_destroy(model, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="to be that of a preset alone, an empty or a new one"):
        zoo.save_preset(model, tmp_path, "A small VAE")
    with pytest.raises(ValueError, match="Expected `folder` to be a folder"):
        zoo.save_preset(model, tmp_path / "letter.txt", "A small VAE")
    with pytest.raises(ValueError, match="Expected `description` to be a text of one line"):
        zoo.save_preset(model, tmp_path / "new", "A\nVAE")
    with pytest.raises(ValueError, match="Expected `card` to be a dict that JSON can hold"):
        zoo.save_preset(model, tmp_path / "new", "A VAE", {"seed": {1}})
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_manifest_without_checksums_is_refused(folder):
    about = vars(manifest.read(folder))
    for missing in (about["config"], about["rest"], f"{about['variables']}.index"):
        files = {name: digest for name, digest in about["files"].items() if name != missing}
        (folder / manifest.NAME).write_text(json.dumps({**about, "files": files}))
        with pytest.raises(presets.PresetError, match=f"Expected the checksum of {missing} in "):
            zoo.from_preset(folder)


def test_update_card(folder):
    saving.update_card(folder, {**CARD, "model": "VAE", "description": "Another text"})
    assert "Another text" in (folder / "README.md").read_text()
    manifest.check(folder, manifest.read(folder))


@pytest.mark.parametrize("address", [None, 3, ""])
def test_what_is_no_address_is_named(address):
    with pytest.raises(zoo.presets.PresetError, match=f"Expected the name of a preset, a folder .*{address!r}"):
        zoo.from_preset(address)


def test_a_file_is_named_with_what_reads_it(tmp_path):
    (tmp_path / "a.keras").touch()
    with pytest.raises(zoo.presets.PresetError, match="a.keras, a file: keras.models.load_model reads it"):
        zoo.from_preset(tmp_path / "a.keras")


@pytest.mark.parametrize("name", ["notes.txt", "below/notes.txt", ".git/HEAD"])
def test_files_of_the_users_own_are_not_replaced_with_a_preset(folder, model, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    with pytest.raises(ValueError, match=f"Expected `folder` to be that of a preset alone, .* not one with '{name}'"):
        zoo.save_preset(model, folder, "Another")
    assert (folder / name).read_text() == "mine" and zoo.from_preset(folder)


def test_a_damaged_preset_is_not_replaced(folder, model):
    (folder / "preset.json").write_text("{}")
    with pytest.raises(presets.PresetError, match="without a `format`"):
        zoo.save_preset(model, folder, "Another")
    assert (folder / "rest.npz").exists()


def test_a_card_does_not_contradict_the_arguments(model, tmp_path):
    for entry in ({"description": "Another"}, {"model": "CVAE"}):
        ((name, _),) = entry.items()
        with pytest.raises(ValueError, match=rf"Expected `card\['{name}'\]` to be left out, as it is '(One|VAE)'"):
            zoo.save_preset(model, tmp_path / "small", "One", entry)
    with pytest.raises(ValueError, match="Expected `folder` to be a path of this machine"):
        zoo.save_preset(model, "hf://user/small", "One")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ([], "`card` to be a dict"),
        (
            {"results": [{"name": "elbo", "value": "x", "split": "test"}]},
            r"`card\['results'\]` to be a list of figures",
        ),
        (
            {"results": [{"name": "elbo", "value": None, "split": "test"}]},
            r"`card\['results'\]` to be a list of figures",
        ),
        (
            {"results": [{"name": "a", "value": 1.0, "split": "b", "of": 3}]},
            r"`card\['results'\]` to be a list of figures",
        ),
        ({"seed": float("inf")}, "`card` to be a dict that JSON can hold"),
        ({"picture": "x.png"}, r"`card\['picture'\]` to be a dict with `file`"),
        ({"evaluation": "x"}, r"`card\['evaluation'\]` to be a dict with `command`"),
        ({"command": 3}, r"`card\['command'\]` to be a text"),
    ],
)
def test_wrong_cards_are_named_before_anything_is_exported(model, tmp_path, card, message):
    with pytest.raises(ValueError, match=f"Expected {message}"):
        zoo.save_preset(model, tmp_path / "small", "One", card)
    assert not [*tmp_path.iterdir()]


def test_a_manifest_of_another_model_is_refused(folder):
    about = json.loads((folder / "preset.json").read_text())
    (folder / "preset.json").write_text(json.dumps({**about, "model": "CVAE"}))
    with pytest.raises(presets.PresetError, match="to describe a CVAE, as preset.json says. Received: a VAE"):
        zoo.from_preset(folder)


def test_hidden_files_are_no_part_of_a_preset(model, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    model.export(folder / "1")
    (folder / ".DS_Store").write_bytes(b"\0")
    saving.add_manifest(folder, model, "1", {"name": "small", "description": "A small VAE", "license": "MIT"})
    assert ".DS_Store" not in manifest.read(folder).files
