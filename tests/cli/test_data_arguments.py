"""The arguments that choose data: pictures, arrays and datasets in the shape of a model."""

import argparse

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from zoo.cli import _data, _files, _sources


def parsed(*argv):
    parser = argparse.ArgumentParser()
    _data.add_arguments(parser)
    return parser.parse_args([*map(str, argv)], argparse.Namespace(model="model.keras"))


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_pictures_are_converted_and_it_is_said(vae, tmp_path, capsys):
    grey, colours = pixels(8, 8), pixels(8, 8, 3, seed=1)
    Image.fromarray(grey).save(tmp_path / "a.png")
    Image.fromarray(colours).save(tmp_path / "b.png")
    Image.fromarray(np.full((20, 40, 3), 7, np.uint8)).save(tmp_path / "c.bmp")
    found = _data.load(parsed("--data", tmp_path), vae)
    assert found.images.shape == (3, 8, 8, 1) and found.images.dtype == np.uint8 and found.labels is None
    np.testing.assert_array_equal(found.images[0, ..., 0], grey)
    np.testing.assert_allclose(found.images[1, ..., 0], colours @ [0.299, 0.587, 0.114], atol=0.51)
    assert np.all(found.images[2] == 7)
    assert found.names == [str(tmp_path / name) for name in ("a.png", "b.png", "c.bmp")]
    assert (found.split, found.description) == ("given", "3 pictures")
    assert capsys.readouterr().err == "cropped and resized 1 of 3 pictures to 8×8 pixels, from 20×40\n"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_whole_pictures_keep_their_size_once_they_are_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels(5, 9)).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    (image,), _ = _files.read_whole([tmp_path / "a.png"], 1)
    np.testing.assert_array_equal(image[..., 0], upright)


def test_single_pictures_keep_their_order(vae, tmp_path):
    paths = [tmp_path / "b.png", tmp_path / "a.png"]
    for number, path in enumerate(paths):
        Image.fromarray(pixels(8, 8, seed=number)).save(path)
    found = _data.load(parsed("--data", *paths, "--limit", 1), vae)
    assert found.names == [str(paths[0])] and len(found) == 1
    np.testing.assert_array_equal(found.images[0, ..., 0], pixels(8, 8))


def test_a_folder_has_splits(vae, tmp_path):
    for number in range(20):
        Image.fromarray(pixels(8, 8, seed=number)).save(tmp_path / f"{number:02}.png")
    args = parsed("--data", tmp_path)
    parts = [_data.load(args, vae, split=split) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [17, 1, 2] and [part.split for part in parts] == [*_data.SPLITS]
    assert len(np.unique(np.concatenate([part.images for part in parts]), axis=0)) == 20
    assert _data.has_splits(args) and _data.dataset(args) is None


@pytest.mark.parametrize(
    "array, expected",
    [
        (pixels(5, 8, 8, 1), pixels(5, 8, 8, 1)),
        (pixels(5, 8, 8), pixels(5, 8, 8, 1)),
        (pixels(8, 8), pixels(1, 8, 8, 1)),
        (pixels(5, 8, 8, 1).astype(np.int64), pixels(5, 8, 8, 1)),
        (pixels(5, 8, 8, 1) / 255.0, (pixels(5, 8, 8, 1) / 255.0).astype(np.float32)),
        (pixels(5, 8, 8, 1) > 127, (pixels(5, 8, 8, 1) > 127).astype(np.float32)),
    ],
)
def test_arrays(vae, tmp_path, array, expected):
    np.save(tmp_path / "x.npy", array)
    found = _data.load(parsed("--data", tmp_path / "x.npy"), vae)
    assert found.images.dtype == expected.dtype and found.names == [str(row) for row in range(len(expected))]
    np.testing.assert_array_equal(found.images, expected)
    np.testing.assert_allclose(found.floats().max(), expected.max() / (255 if expected.dtype == np.uint8 else 1), 1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_integers_of_0_and_1_are_refused(vae, tmp_path, dtype):
    np.save(tmp_path / "x.npy", (pixels(5, 8, 8, 1) > 127).astype(dtype))
    with pytest.raises(ValueError, match="Expected integers up to 255; data of 0 and 1 as floats or bools in"):
        _data.load(parsed("--data", tmp_path / "x.npy"), vae)


def test_labels(cvae, tmp_path):
    np.savez(tmp_path / "x.npz", images=pixels(4, 8, 8, 1), labels=np.array([3, 1, 4, 1]))
    np.save(tmp_path / "x.npy", pixels(3, 8, 8, 1))
    np.save(tmp_path / "y.npy", np.array([2, 7, 1]))
    found = _data.load(parsed("--data", tmp_path / "x.npz"), cvae)
    assert found.labels.dtype == np.int32 and found.labels.tolist() == [3, 1, 4, 1]
    assert found.take([2, 0]).labels.tolist() == [4, 3] and found.take([2, 0]).names == ["2", "0"]
    for given, expected in (("5", [5, 5, 5]), ("9,8,7", [9, 8, 7]), (tmp_path / "y.npy", [2, 7, 1])):
        found = _data.load(parsed("--data", tmp_path / "x.npy", "--data-labels", given), cvae)
        assert found.labels.tolist() == expected
    assert _data.load(parsed("--data", tmp_path / "x.npy"), cvae, need_labels=False).labels is None


def test_a_dataset_in_the_size_of_the_model(cvae, capsys):
    found = _data.load(parsed("--data", "cifar10", "--sample", "--split", "validation", "--limit", "6"), cvae)
    assert found.images.shape == (6, 8, 8, 1) and found.images.dtype == np.uint8 and found.labels.shape == (6,)
    assert found.description == "validation split of the bundled sample of cifar10"
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "resized the images of cifar10, of 32×32 pixels, to 8×8",
        "converted the images of cifar10 to grey",
    ]


def test_sprites_are_rendered(vae, monkeypatch):
    asked = []

    class Sprites:
        def __init__(self, image_size):
            asked.append(image_size)

        def splits(self):
            raise _sources.data.DataError("enough")

    monkeypatch.setattr(_sources.data, "Sprites", Sprites)
    _sources._loaded.cache_clear()
    with pytest.raises(ValueError, match="enough"):
        _data.load(parsed("--data", "sprites"), vae)
    assert asked == [8] and isinstance(_sources.load_factors("sprites", vae, None), Sprites)
    assert _sources.load_factors("mnist", vae, None) is None


def test_the_data_of_the_card(monkeypatch):
    for card, expected in (({"dataset": "mnist"}, "mnist"), ({"datasets": ["uoft-cs/cifar10"]}, "cifar10")):
        monkeypatch.setattr(_data._models, "read_card", lambda model, card=card: card)
        assert _data.dataset(parsed()) == expected and _data.has_splits(parsed())


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_text("no picture")
    Image.fromarray(pixels(8, 8)).save("good.png")
    np.save("large.npy", pixels(2, 9, 9, 1))
    np.save("negative.npy", np.full((2, 8, 8, 1), -1))
    np.save("nan.npy", np.full((2, 8, 8, 1), np.nan))
    np.save("text_array.npy", np.full((2, 8, 8, 1), "a"))
    np.save("objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save("none.npy", pixels(0, 8, 8, 1))
    np.savez("two.npz", a=pixels(2, 8, 8, 1), b=pixels(2))
    np.savez("labels.npz", images=pixels(2, 8, 8, 1), labels=np.arange(3))
    np.save("x.npy", pixels(2, 8, 8, 1))


@pytest.mark.parametrize(
    "argv, reason",
    [
        (["--data", "text.png"], "text.png, no picture of a format that Pillow can read"),
        (["--data", "empty.png"], "empty.png, an empty file"),
        (["--data", "good.png", "missing.png"], "missing.png, no such file"),
        (["--data", "missing/folder"], "missing/folder, no such file, and no dataset"),
        (["--data", "nothing"], "nothing, with no picture in it"),
        (["--data", "broken"], "1 files, none of which can be read"),
        (["--data", "text.npy"], "text.npy, no array file that NumPy can read"),
        (["--data", "objects.npy"], "objects.npy, no array file that NumPy can read"),
        (["--data", "large.npy"], "shape [N,8,8,1] in large.npy. Received: uint8 of (2, 9, 9, 1)"),
        (["--data", "negative.npy"], "Received: -1 to -1"),
        (["--data", "nan.npy"], "Received: values that are not finite"),
        (["--data", "text_array.npy"], "Received: <U1"),
        (["--data", "none.npy"], "Received: uint8 of (0, 8, 8, 1)"),
        (["--data", "two.npz"], "an array named images in two.npz. Received: a, b"),
        (["--data", "labels.npz"], "a label for each of the 2 images in labels.npz. Received: int64 of shape (3,)"),
        (["--data", "x.npy"], "Expected data with labels, as the model takes them. Received: 2 examples of x.npy"),
        (["--data", "x.npy", "--data-labels", "1,2,3"], "a label for each of 2 images. Received: int64 of shape (3,)"),
        (["--data", "x.npy", "--data-labels", "4294967299"], "labels of 32 bits. Received: 4294967299 to 4294967299"),
        (["--data", "x.npy", "--data-labels", "one"], "integers or a .npy file. Received: one"),
        (["--data", "x.npy", "--split", "test"], "--split with a dataset or a folder only. Received: x.npy"),
        (["--data", "good.png", "--split", "test"], "--split with a dataset or a folder only. Received: good.png"),
        (["--data", "x.npy", "--data-dir", "."], "Expected --data to be a dataset, as --data-dir is given"),
        (["--data", "x.npy", "--sample"], "Expected --data to be a dataset, as --sample is given. Received: x.npy"),
        (["--data", "mnits"], "Received: 'mnits'. Did you mean 'mnist'?"),
        (["--data", "svhn_cropped", "--sample"], "There is no bundled sample of 'svhn_cropped'"),
        (["--sample", "--data-dir", "x"], "Expected no --data-dir, as --sample takes the bundled images. Received: x"),
        ([], "no card that names a dataset"),
    ],
)
def test_other_data_is_named(cvae, files, monkeypatch, argv, reason):
    monkeypatch.setattr(_data._models, "read_card", lambda model: {})
    with pytest.raises(ValueError) as raised:
        _data.load(parsed(*argv), cvae)
    assert reason in str(raised.value)


def test_a_limit_is_at_least_1(capsys):
    with pytest.raises(SystemExit):
        parsed("--limit", "0")
    assert "expected an integer >= 1, received 0" in capsys.readouterr().err
