"""impute with data that has holes, models beside a mask, and masks of many forms; what becomes of pictures' names."""

import keras
import numpy as np
import pytest
from PIL import ExifTags, Image

import zoo
from zoo import applications

RNG = np.random.default_rng(0)
X = RNG.random((20, 8, 8, 1), np.float32)
MASK = RNG.random((20, 8, 8, 1)) < 0.6
HOLES = np.where(MASK, X, np.float32(np.nan))
FEW = ("--steps", "1", "--num-samples", "2")


def network(inputs, latents=2):
    return zoo.networks.mlp_encoder(inputs, latents, ()), zoo.networks.mlp_decoder((8, 8, 1), latents, ())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("models")
    zoo.VAE(*network((8, 8, 1))).save(folder / "vae.keras")
    masked = zoo.likelihoods.Masked(zoo.likelihoods.Bernoulli())
    zoo.IWAE(*network((8, 8, 2)), masked, num_samples=2).save(folder / "miwae.keras")
    given = (8, 8, 2)
    vaeac = zoo.VAEAC(network(given)[0], zoo.networks.mlp_decoder((8, 8, 1), 128 + 2, ()))
    vaeac.save(folder / "vaeac.keras")
    for name, array in {"x": X, "holes": HOLES, "masks": MASK, "flat_masks": MASK[..., 0]}.items():
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "whole_mask.npy", MASK[0])
    np.save(folder / "three_masks.npy", MASK[:3])
    Image.fromarray(np.uint8(255 * MASK[0, ..., 0])).save(folder / "mask.png")
    clear = np.dstack([np.full((8, 8, 3), 255), 255 * MASK[0]]).astype(np.uint8)
    Image.fromarray(clear).save(folder / "clear.png")
    upright = np.zeros((8, 8), np.uint8)
    upright[:4] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # a viewer turns it by a quarter, clockwise
    Image.fromarray(np.rot90(upright)).save(folder / "turned.png", exif=exif)
    Image.fromarray(upright).save(folder / "upright.png")
    pictures = folder / "pictures"
    (pictures / "more").mkdir(parents=True)
    Image.fromarray(np.uint8(255 * X[0, ..., 0])).save(pictures / "a cat.png")
    Image.fromarray(clear).save(pictures / "dog.png")
    Image.fromarray(np.uint8(255 * X[1, ..., 0])).save(pictures / "more" / "dog.png")
    return folder


def model_in(folder, name):
    return keras.models.load_model(folder / f"{name}.keras", compile=False)


@pytest.mark.parametrize("name", ["vae", "miwae"])
def test_nan_is_missing_and_a_mask_beside_the_values_is_made_of_it(run, folder, tmp_path, name):
    status, report, _ = run("impute", f"@{name}.keras", "--data", "@holes.npy", "--output", "a.npy", *FEW)
    expected = applications.impute(model_in(folder, name), HOLES, steps=1, num_samples=2)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected)
    assert status == 0 and report["missing"] == pytest.approx(1 - MASK.mean()) and "mse" not in report


def test_what_is_left_out_of_data_with_nan_is_judged_where_it_is_known(run, folder, tmp_path):
    _, report, _ = run("impute", "@vae.keras", "--data", "@holes.npy", "--missing", "top", "--output", "a.npy", *FEW)
    mask = MASK.copy()
    mask[:, :4] = False
    filled = applications.impute(model_in(folder, "vae"), HOLES, mask, steps=1, num_samples=2)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), filled)
    hidden = MASK & ~mask
    assert report["mse"] == pytest.approx(np.mean((filled - X)[hidden] ** 2), rel=1e-5)


def test_pictures_of_a_model_beside_a_mask_are_drawn(run, tmp_path):
    words = ("impute", "@miwae.keras", "--data", "@holes.npy", "--limit", "3", "--scale", "1", *FEW)
    assert run(*words, "--output", "a.png")[0] == 0
    assert Image.open(tmp_path / "a.png").size == (3 * 9 + 1, 2 * 9 + 1)
    sample = ("--data", "mnist", "--sample", "--limit", "2", "--missing", "left", "--output", "b.png")
    assert run("impute", "@miwae.keras", *sample, *FEW)[0] == 0  # digits in the size of the values


@pytest.mark.parametrize("mask, limit", [("@masks.npy", ("--limit", "4")), ("@flat_masks.npy", ())])
def test_a_mask_of_each_example_stays_with_its_example(run, folder, tmp_path, mask, limit):
    words = ("impute", "@vae.keras", "--data", "@x.npy", "--mask", mask, *limit, "--output")
    assert run(*words, "a.npy", *FEW)[0] == 0
    number = 4 if limit else 20
    expected = applications.impute(model_in(folder, "vae"), X[:number], MASK[:number], steps=1, num_samples=2)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected)
    assert run(*words, "a.png", *FEW)[0] == 0


def test_a_mask_is_turned_upright_as_pictures_are(run):
    words = ("impute", "@vae.keras", "--data", "@x.npy", *FEW, "--mask")
    arrays = []
    for name in ("turned", "upright"):
        assert run(*words, f"@{name}.png", "--output", f"{name}.npy")[0] == 0
        arrays.append(np.load(f"{name}.npy"))
    np.testing.assert_array_equal(*arrays)
    np.testing.assert_array_equal(arrays[1][:, :4], X[:, :4])


def test_an_opaque_picture_with_an_alpha_channel_is_a_mask(run, tmp_path):
    grey = np.uint8(255 * MASK[0, ..., 0])
    Image.fromarray(np.dstack([grey, grey, grey, np.full_like(grey, 255)])).save(tmp_path / "opaque.png")
    words = ("impute", "@vae.keras", "--data", "@x.npy", *FEW, "--mask")
    for mask, name in (("@mask.png", "a.npy"), (str(tmp_path / "opaque.png"), "b.npy")):
        assert run(*words, mask, "--output", name)[0] == 0
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))


def test_masks_of_the_shown_examples_alone_are_theirs(run, folder, tmp_path):
    words = ("impute", "@vae.keras", "--data", "@x.npy", "--mask", "@three_masks.npy", "--limit", "3", *FEW)
    assert run(*words, "--output", "a.npy")[0] == 0
    expected = applications.impute(model_in(folder, "vae"), X[:3], MASK[:3], steps=1, num_samples=2)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected)


def test_a_mask_of_columns_is_none_of_rows(run, tmp_path):
    networks = zoo.networks.mlp_encoder((4,), 2, ()), zoo.networks.mlp_decoder((4,), 2, ())
    zoo.VAE(*networks, zoo.likelihoods.Gaussian(range=None)).save(tmp_path / "rows.keras")
    np.save(tmp_path / "rows.npy", RNG.normal(size=(4, 4)))
    np.save(tmp_path / "columns.npy", np.array([1, 1, 0, 0]))
    words = ("impute", str(tmp_path / "rows.keras"), "--data", str(tmp_path / "rows.npy"), *FEW, "--output", "a.npy")
    assert run(*words, "--mask", str(tmp_path / "columns.npy"))[0] == 0
    same = np.load(tmp_path / "a.npy") == np.load(tmp_path / "rows.npy").astype(np.float32)
    np.testing.assert_array_equal(same, [[True, True, False, False]] * 4)


@pytest.mark.parametrize(
    "words, message",
    [
        (("@vae.keras", "--data", "@x.npy"), "Expected --missing or --mask, or NaN in --data for missing values"),
        (("@vae.keras", "--data", "@x.npy", "--mask", "@clear.png"), "black where values are missing and white elsewh"),
        (
            ("@vae.keras", "--data", "@x.npy", "--mask", "@three_masks.npy"),
            "(8, 8), or (20, 8, 8) for 20 examples. Received: ",
        ),
        (("@vaeac.keras", "--data", "@holes.npy", "--steps", "3"), "Expected `--steps` to be left out with a VAEAC"),
    ],
)
def test_what_does_not_say_what_is_missing_is_refused(run, words, message):
    status, _, errors = run("impute", *words, "--output", "a.npy")
    assert status == 2 and message in errors


def test_files_of_pictures_keep_their_names_and_what_is_not_kept_is_told(run, tmp_path):
    names = {"00000_a cat.png", "00001_dog.png", "00002_dog.png"}
    for command, more in {"denoise": (), "reconstruct": (), "impute": ("--missing", "left", *FEW)}.items():
        status, _, errors = run(command, "@vae.keras", "--data", "@pictures", "--output", command, *more)
        assert status == 0 and {path.name for path in (tmp_path / command).iterdir()} == names
        assert "not kept of 1 of 3 pictures: transparency" in errors


def test_labels_that_colour_no_points_are_told(run, tmp_path):
    words = ("explore", "@vae.keras", "--output", "page.html", "--latents", "1", "--data")
    classes = np.arange(20)[:, None] % 3  # [N,1], as in Keras's CIFAR-10
    for labels, told in ((classes, False), (classes[:, 0] / 2, True)):
        np.savez(tmp_path / "x.npz", x=X, y=labels)
        status, _, errors = run(*words, str(tmp_path / "x.npz"))
        assert status == 0 and ("labels are not shown, as they are not a few classes: float32" in errors) == told
        text = (tmp_path / "page.html").read_text(encoding="utf-8").replace(" ", "")
        assert ('"classes":[]' in text) == told


@pytest.mark.parametrize("command", ["denoise", "reconstruct"])
def test_noise_beyond_the_range_of_images_is_drawn(run, folder, tmp_path, command):
    model = model_in(folder, "vae")
    model.compile("adam")
    noisy = X + RNG.normal(0.0, 0.5, X.shape).astype(np.float32)
    model.fit(noisy, X, verbose=0)
    model.save(tmp_path / "denoiser.keras")
    np.save(tmp_path / "noisy.npy", noisy)
    words = (command, str(tmp_path / "denoiser.keras"), "--data", str(tmp_path / "noisy.npy"), "--limit", "4")
    assert run(*words, "--scale", "1", "--output", "a.png")[0] == 0
    drawn = np.asarray(Image.open(tmp_path / "a.png").convert("L"))[1:9, 1:9]
    np.testing.assert_allclose(drawn, 255 * np.clip(noisy[0, ..., 0], 0, 1), atol=0.51)
