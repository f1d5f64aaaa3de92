"""compress and decompress: what they write, and what they refuse."""

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from zoo import networks, priors
from zoo.cli import _output

pytest.importorskip("constriction")

RNG = np.random.default_rng(0)
PICTURES = {"a.png": (8, 8), "sub/b.bmp": (5, 17), "sub/a.png": (9, 3)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("models")
    encoder = networks.residual_encoder((8, 8, 1), code_dim=4, filters=8, blocks=0, downsamples=2)
    decoder = networks.residual_decoder((2, 2, 4), params=1, filters=8, blocks=0, upsamples=2)
    prior = priors.Transformer(16, (2, 2), width=8, depth=1, heads=2)
    model = zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(16, 4), prior=prior)
    model.save(folder / "vq.keras")
    for name, size in PICTURES.items():
        path = folder / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, size, dtype=np.uint8)).save(path)
    (folder / "pictures" / "broken.png").write_text("no picture")
    np.save(folder / "images.npy", RNG.integers(0, 256, (5, 8, 8, 1), dtype=np.uint8))
    return folder


def test_a_folder_of_pictures_comes_back_with_names_and_sizes(run, folder, tmp_path):
    status, report, errors = run("compress", "@vq.keras", "--data", "@pictures", "--lossless", "--output", "all.vaez")
    assert (status, report["num"], report["bytes"]) == (0, 3, (tmp_path / "all.vaez").stat().st_size)
    assert "broken.png" in errors
    assert run("decompress", "@vq.keras", "all.vaez", "--output", "restored")[0] == 0
    for name in PICTURES:
        restored = np.asarray(Image.open((tmp_path / "restored" / name).with_suffix(".png")))
        np.testing.assert_array_equal(restored, np.asarray(Image.open(folder / "pictures" / name)))
    status, about, _ = run("decompress", "@vq.keras", "all.vaez", "--describe")
    assert (status, about["scheme"], sorted(about["names"])) == (0, "codes and pixels", sorted(PICTURES))


LOSSY = {
    "more than 8 bits a channel": Image.fromarray(RNG.integers(0, 2**16, (8, 8), dtype=np.uint16)),
    "transparency": Image.fromarray(np.full((8, 8, 2), 90, np.uint8), "LA"),
    "colours": Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)),
    "colours of the kind CMYK, colours": Image.fromarray(RNG.integers(0, 256, (8, 8, 4), dtype=np.uint8), "CMYK"),
}


@pytest.mark.parametrize("lost", LOSSY)
def test_pictures_that_cannot_be_kept_whole_are_named(run, lost, tmp_path):
    ending = "tif" if "CMYK" in lost else "png"
    LOSSY[lost].save(tmp_path / f"a.{ending}")
    words = ("compress", "@vq.keras", "--data", f"a.{ending}", "--output", "a.vaez")
    status, _, errors = run(*words, "--lossless")
    assert status == 2 and f"pictures that --lossless can keep whole. Received: a.{ending}, with {lost}\n" in errors
    assert not (tmp_path / "a.vaez").exists()
    status, _, errors = run(*words)
    assert status == 0 and f"a.{ending}: not kept: {lost}\n" in errors


def test_an_opaque_picture_with_alpha_loses_nothing(run, tmp_path):
    grey = RNG.integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(np.stack([grey, np.full_like(grey, 255)], axis=-1), "LA").save(tmp_path / "a.png")
    status, _, errors = run("compress", "@vq.keras", "--data", "a.png", "--output", "a.vaez", "--lossless")
    assert status == 0 and "not kept" not in errors
    assert "bits a value, more than the 8 of the values as they are: the model does not know such data" in errors
    assert run("decompress", "@vq.keras", "a.vaez", "--output", "b.png")[0] == 0
    np.testing.assert_array_equal(Image.open(tmp_path / "b.png"), grey)


def test_one_picture_and_an_array(run, folder, tmp_path):
    status, report, _ = run("compress", "@vq.keras", "--data", "@images.npy", "--output", "array.vaez")
    assert status == 0 and report["bits_per_value"] == pytest.approx(8 * report["bytes"] / (5 * 8 * 8))
    assert run("decompress", "@vq.keras", "array.vaez", "--output", "array.npy")[0] == 0
    restored = np.load(tmp_path / "array.npy")
    assert (restored.shape, restored.dtype) == ((5, 8, 8, 1), np.uint8)
    assert run("compress", "@vq.keras", "--data", "@pictures/sub/b.bmp", "--output", "one.vaez")[0] == 0
    assert run("decompress", "@vq.keras", "one.vaez", "--output", "one.png")[0] == 0
    assert Image.open(tmp_path / "one.png").size == (17, 5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("compress", "@vq.keras", "--data", "@images.npy", "--output", "file.zip"), "ends in .vaez"),
        (("compress", "@vq.keras", "--data", "@missing.png", "--output", "x.vaez"), "to exist"),
        (("compress", "@vq.keras", "--data", "@pictures/broken.png", "--output", "x.vaez"), "broken.png"),
        (("compress", "@vq.keras", "--data", "@pictures", "--binarize", "--output", "x.vaez"), "--binarize"),
        (("compress", "@vq.keras", "--data", "@images.npy", "--seed", "1", "--output", "x.vaez"), "without --binarize"),
        (("decompress", "@vq.keras", "@images.npy", "--output", "x.png"), "written by zoo.codec"),
        (("decompress", "@vq.keras", "@missing.vaez", "--output", "x.png"), "FILE to be readable"),
        (("decompress", "@vq.keras", "@images.npy"), "--output"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(run, tmp_path, words, message):
    status, report, errors = run(*words)
    assert (status, report) == (2, None)
    assert message in errors and len(errors.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_names_that_lead_out_of_the_folder_are_refused(run, folder, tmp_path):
    model = keras.models.load_model(folder / "vq.keras", compile=False)
    image = np.zeros((8, 8, 1), np.uint8)
    for name in ("../out.png", "/out.png", "a/../../out.png", "C:\\out.png"):
        (tmp_path / "evil.vaez").write_bytes(zoo.codec.compress(model, [image], names=[name]))
        status, _, errors = run("decompress", "@vq.keras", "evil.vaez", "--output", "inside")
        assert status == 2 and "within a folder" in errors


def test_several_images_do_not_fit_a_picture(run):
    assert run("compress", "@vq.keras", "--data", "@images.npy", "--output", "array.vaez")[0] == 0
    status, _, errors = run("decompress", "@vq.keras", "array.vaez", "--output", "x.png")
    assert status == 2 and "5 images" in errors


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["a.png", "b.jpg"], ["a.png", "b.png"]),
        (["a.png", "a.jpg", "b.jpg", "c/a.bmp"], ["a.png.png", "a.jpg.png", "b.png", "c/a.png"]),
        (["a.png", "a.jpg", "a.jpg.gif"], ["a.png.png", "a.jpg.png", "a.jpg.gif.png"]),
        (["A/x.jpg", "A/x.png/y.png"], ["A/x.jpg.png", "A/x.png/y.png.png"]),
    ],
)
def test_names_that_differ_in_their_ending_alone_keep_it(names, places):
    assert [str(place) for place in _output.places(names)] == places


def test_equal_names_are_refused():
    with pytest.raises(ValueError, match=r"Expected different names of pictures. Received: \('a.png', 2\)"):
        _output.places(["a.png", "b.png", "a.png"])
