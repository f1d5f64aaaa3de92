"""Files appear whole or not at all."""

import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest

import zoo
from zoo.runtime import files


def test_file_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "a.txt"
    with files.replacing(target) as scratch:
        scratch.write_text("new")
        assert scratch.parent == tmp_path and scratch.suffix == ".txt"
        assert not target.exists()
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_old_file_stays_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with files.replacing(target) as scratch:
        scratch.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("before", [None, "old"])
def test_error_leaves_what_was_there_and_nothing_else(tmp_path, error, before):
    target = tmp_path / "a.txt"
    if before:
        target.write_text(before)
    with pytest.raises(error), files.replacing(target) as scratch:
        scratch.write_text("ha")
        raise error
    assert [path.read_text() for path in tmp_path.iterdir()] == ([before] if before else [])


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_was_written_is_on_the_disk_before_it_takes_the_place(tmp_path, monkeypatch, kind):
    """In the other order a machine that loses power may be left with a file that is there, and empty."""
    done, synchronise, replace = [], os.fsync, os.replace

    def fsync(descriptor):
        done.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))
        synchronise(descriptor)

    def record_replace(source, target):
        done.append(("replace", str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    target = tmp_path / "it"
    with files.replacing(target) as scratch:
        if kind == "folder":
            scratch.mkdir()
        written = [scratch / "a", scratch / "b"] if kind == "folder" else [scratch]
        for path in written:
            path.write_text("new")
    *synchronised, last = [event for event in done if event[0] == "replace" or pathlib.Path(event[1]) in written]
    assert last == ("replace", str(target))
    assert sorted(synchronised) == sorted(("fsync", str(path)) for path in written)


def test_error_before_anything_is_written_leaves_nothing(tmp_path):
    with pytest.raises(ValueError), files.replacing(tmp_path / "a.txt"):
        raise ValueError
    assert not list(tmp_path.iterdir())


def test_folder_is_removed_whole(tmp_path, monkeypatch):
    """Whoever looks while its files go does not find it any more."""
    target = tmp_path / "step"
    target.mkdir()
    (target / "file").touch()
    removed = []
    monkeypatch.setattr(shutil, "rmtree", lambda path: removed.append((path, target.exists())))
    files.remove(target)
    assert removed == [(tmp_path / f".{os.getpid()}-{threading.get_ident()}-old-step", False)]


def test_what_dead_processes_left_is_swept_and_nothing_else(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    inside = tmp_path / "checkpoints"
    stale = [
        tmp_path / f".{done.pid}-model.keras",
        inside / f".{done.pid}-step-00000003",
        inside / f".{os.getpid()}-old-x",
    ]
    kept = [
        tmp_path / "model.keras",
        tmp_path / ".hidden",
        tmp_path / ".1-of-the-first-process",
        inside / "step-00000002",
    ]
    for path in (*stale, *kept):
        path.mkdir(parents=True) if "step" in path.name else path.parent.mkdir(exist_ok=True) or path.touch()
    files.sweep(tmp_path)
    assert sorted(tmp_path.rglob("*")) == sorted([inside, *kept])


def test_a_file_does_not_replace_a_folder(tmp_path):
    model = zoo.VAE(*(make((2, 2, 1), 2, ()) for make in (zoo.networks.mlp_encoder, zoo.networks.mlp_decoder)))
    (tmp_path / "model.keras").mkdir()
    (tmp_path / "model.keras" / "mine").touch()
    for write in (lambda path: files.write_text(path, "new"), model.save):
        with pytest.raises(OSError, match="model.keras"):
            write(tmp_path / "model.keras")
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "model.keras", tmp_path / "model.keras" / "mine"]
    with pytest.raises(OSError, match="none.*model.keras") as error:
        model.save(tmp_path / "none" / "model.keras")
    assert f"{os.getpid()}-" not in str(error.value)


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "old").touch()
    (tmp_path / "file").write_text("old")
    for name, target in (("to_folder", "real"), ("to_file", "file"), ("to_nothing", "new"), ("to_blob.png", "5f2c")):
        (tmp_path / name).symlink_to(tmp_path / target)
    with files.replacing(tmp_path / "to_blob.png") as scratch:
        assert scratch.suffix == ".png"  # by which Keras and others choose the format
        scratch.write_text("new")
    assert (tmp_path / "5f2c").read_text() == "new"
    with files.replacing(tmp_path / "to_folder") as scratch:
        scratch.mkdir()
        (scratch / "new").touch()
    for name in ("to_file", "to_nothing"):
        files.write_text(tmp_path / name, "new")
    assert all((tmp_path / name).is_symlink() for name in ("to_folder", "to_file", "to_nothing"))
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["new"]
    assert (tmp_path / "file").read_text() == (tmp_path / "new").read_text() == "new"


def test_what_a_killed_process_left_in_a_folder_of_others_is_named(tmp_path, capsys):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (f".{gone.pid}-abcdefgh/scratch", f".{os.getppid()}-abcdefgh/scratch", f".{gone.pid}-notes/mine"):
        (tmp_path / name).mkdir(parents=True)
    with files.scratch_folder(tmp_path):
        pass
    errors = capsys.readouterr().err
    assert errors.startswith(f"{tmp_path}/.{gone.pid}-abcdefgh was left by a process") and errors.count("\n") == 1
    assert len(list(tmp_path.iterdir())) == 3


def test_folder_replaces_a_folder(tmp_path):
    target = tmp_path / "step"
    target.mkdir()
    (target / "old").touch()
    with files.replacing(target) as scratch:
        scratch.mkdir()
        (scratch / "new").touch()
        assert [path.name for path in target.iterdir()] == ["old"]
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_error_leaves_the_old_folder_whole(tmp_path):
    target = tmp_path / "step"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(OSError), files.replacing(target) as scratch:
        scratch.mkdir()
        (scratch / "new").touch()
        raise OSError
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("filled", [False, True])
def test_a_folder_made_for_files_goes_again_if_there_are_none(tmp_path, there, filled):
    folder = tmp_path / "a" / "b"
    if there:
        folder.mkdir(parents=True)
    with pytest.raises(KeyError), files.folder_for(folder):
        assert folder.is_dir()
        if filled:
            (folder / "a.txt").write_text("mine")
        raise KeyError
    assert folder.exists() == (there or filled) and (tmp_path / "a").exists() == (there or filled)


def test_a_folder_that_cannot_be_made_leaves_no_parent(tmp_path):
    with pytest.raises(OSError), files.folder_for(tmp_path / "a" / ("b" * 300)):
        pass
    assert not list(tmp_path.iterdir())


def test_json_comes_back(tmp_path):
    value = {"a": [1, 2.5, None], "b": {"c": "é"}}
    files.write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == value and text.endswith("}\n")


def test_value_that_is_no_json_leaves_the_old_file(tmp_path):
    files.write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "a.json", {"a": object()})
    assert (tmp_path / "a.json").read_text() == "1\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_csv_has_the_columns_of_all_rows(tmp_path):
    files.write_csv(tmp_path / "a.csv", [{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": 1.5, "beta": 4}])
    with open(tmp_path / "a.csv", newline="") as file:
        assert list(csv.reader(file)) == [["epoch", "loss", "beta"], ["1", "2.5", ""], ["2", "1.5", "4"]]


def test_csv_without_rows_is_a_file(tmp_path):
    files.write_csv(tmp_path / "a.csv", [])
    with open(tmp_path / "a.csv", newline="") as file:
        assert list(csv.DictReader(file)) == []


def test_saved_model_loads(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with files.replacing(tmp_path / "model.keras") as scratch:
        model.save(scratch)
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = np.ones((1, 3), np.float32)
    assert np.array_equal(model(x), again(x))
    assert len(list(tmp_path.iterdir())) == 1


def test_model_that_cannot_be_saved_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "model.keras"
    target.write_bytes(b"old")
    model = zoo.VAE(*(make((2, 2, 1), 2, ()) for make in (zoo.networks.mlp_encoder, zoo.networks.mlp_decoder)))

    def disk_full(self, path, *_, **__):
        path.write_bytes(b"ha")
        raise OSError("No space left on device")

    monkeypatch.setattr(keras.Model, "save", disk_full)
    for further in ((), (True,), (True, True)):
        with pytest.raises(OSError):
            model.save(target, *further)
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    expected = "Expected `--output` to be a folder that no other run writes to"
    with files.held("--output", tmp_path), pytest.raises(ValueError, match=expected), files.held("--output", tmp_path):
        pass
    with files.held("--output", tmp_path):
        assert not [*tmp_path.iterdir()]
