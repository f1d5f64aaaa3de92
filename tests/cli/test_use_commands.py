"""anomaly, impute and denoise: what they write, and what they refuse without a trace."""

import csv
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from zoo import applications
from zoo.cli import _output
from zoo.export import runtimes

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (30, 8, 8, 1), dtype=np.uint8)
X = IMAGES.astype(np.float32) / np.float32(255)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("models")
    encoder, decoder = zoo.networks.mlp_encoder((8, 8, 1), 2, ()), zoo.networks.mlp_decoder((8, 8, 1), 2, ())
    zoo.VAE(encoder, decoder).save(folder / "vae.keras")
    given, decoder = ((8, 8, 2), zoo.networks.mlp_decoder((8, 8, 1), 128 + 2, ()))
    prior = zoo.priors.ConditionalGaussian(zoo.networks.mlp_encoder(given, 2, ()))
    vaeac = zoo.VAEAC(zoo.networks.mlp_encoder(given, 2, ()), decoder, prior=prior)
    vaeac.save(folder / "vaeac.keras")
    np.save(folder / "images.npy", IMAGES)
    np.save(folder / "strange.npy", 255 - IMAGES[:5])
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(folder / "mask.png")
    (folder / "text.png").write_text("no picture")
    np.save(folder / "signed.npy", 2 * X - 1)
    np.save(folder / "nan.npy", np.full((8, 8, 1), np.nan))
    return folder


def model_in(folder):
    return keras.models.load_model(folder / "vae.keras", compile=False)


def test_anomaly_writes_the_scores_of_the_detector_and_heat_maps(run, folder, tmp_path):
    status, report, _ = run(
        *("anomaly", "@vae.keras", "--data", "@strange.npy", "--normal", "@images.npy", "--output", "scores.csv"),
        *("--score", "reconstruction", "--false-positive-rate", "0.1", "--heat-maps", "maps"),
    )
    detector = applications.AnomalyDetector(model_in(folder), "reconstruction", 0.1).fit(X)
    strange = 1.0 - X[:5]
    with open(tmp_path / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["0", "1", "2", "3", "4"]
    np.testing.assert_allclose([float(row["score"]) for row in rows], -detector.score_samples(strange), rtol=1e-5)
    anomalous = detector.predict(strange) == -1
    np.testing.assert_array_equal([row["anomaly"] == "1" for row in rows], anomalous)
    assert status == 0 and report["anomalies"] == anomalous.sum() and report["num"] == 5
    assert report["threshold"] == pytest.approx(-detector.offset_)
    maps = np.stack([np.asarray(Image.open(path)) for path in sorted((tmp_path / "maps").iterdir())])
    expected = detector.heat_map(strange)
    white = np.quantile(expected, 0.999)
    assert white < expected.max()
    np.testing.assert_allclose(maps, np.minimum(255 * expected / white, 255), atol=0.51)


def test_anomaly_takes_integers_for_grey_levels_of_images_alone(run, tmp_path):
    network = zoo.networks.mlp_encoder((3,), 2, ()), zoo.networks.mlp_decoder((3,), 2, ())
    model = zoo.VAE(*network, zoo.likelihoods.Gaussian(range=None))
    model.save(tmp_path / "rows.keras")
    np.save(tmp_path / "rows.npy", np.arange(60).reshape(20, 3))
    words = ("anomaly", "rows.keras", "--data", "rows.npy", "--normal", "rows.npy", "--output", "scores.csv")
    status, _, errors = run(*words)
    assert status == 2 and "Expected floats in the units of the model, as it takes no grey levels" in errors
    np.save(tmp_path / "rows.npy", np.arange(60.0).reshape(20, 3))
    assert run(*words, "--false-positive-rate", "0.1")[0] == 0


PICTURES = {
    "sample": (),
    "reconstruct": ("--data", "rows.npy"),
    "interpolate": ("--data", "rows.npy"),
    "traverse": ("--data", "rows.npy"),
    "denoise": ("--data", "rows.npy"),
    "impute": ("--data", "rows.npy", "--missing", "left"),
    "explore": ("--data", "rows.npy"),
}


@pytest.mark.parametrize("command", PICTURES)
def test_models_that_cannot_be_drawn_are_named(run, tmp_path, command):
    model = zoo.VAE(zoo.networks.mlp_encoder((3,), 2, ()), zoo.networks.mlp_decoder((3,), 2, ()))
    model.save(tmp_path / "rows.keras")
    np.save(tmp_path / "rows.npy", np.zeros((20, 3)))
    output = "a.html" if command == "explore" else "a.png"
    status, _, errors = run(command, "rows.keras", *PICTURES[command], "--output", output)
    assert status == 2 and "MODEL to be one of images [H,W,1] or [H,W,3]" in errors and "a VAE of examples" in errors


def test_anomaly_judges_pictures_of_ones_own_by_bundled_images(run, tmp_path):
    applications.save_images(tmp_path / "strange", X[:2], ["crack", "hole"])
    judged = ("anomaly", "@vae.keras", "--data", "strange", "--output", "scores.csv", "--score", "reconstruction")
    status, report, _ = run(*judged, "--normal", "mnist", "--sample", "--normal-limit", "20", "--heat-maps", "maps")
    assert status == 0 and report["num"] == 2
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {"00000_crack.png", "00001_hole.png"}
    status, _, errors = run(*judged, "--sample")
    assert status == 2 and "Expected --normal, as " in errors and "has no card that names a dataset" in errors
    status, _, errors = run(*judged, "--normal", "@images.npy", "--sample")
    assert status == 2 and "Expected --data to be a dataset, as --sample is given" in errors


def test_anomaly_limits_the_normal_examples(run, folder, tmp_path):
    limited = ("--normal", "@images.npy", "--normal-limit", "12", "--false-positive-rate", "0.1")
    _, report, _ = run(
        *("anomaly", "@vae.keras", "--data", "@strange.npy", "--score", "reconstruction", *limited),
        *("--output", "scores.csv"),
    )
    detector = applications.AnomalyDetector(model_in(folder), "reconstruction", 0.1).fit(X[:12])
    assert report["threshold"] == pytest.approx(-detector.offset_)


def test_anomaly_smooths_the_difference_from_the_reconstruction(run, folder):
    words = ("--score", "reconstruction", "--smoothing", "0.7", "--false-positive-rate", "0.1")
    _, report, _ = run(*ANOMALY, *words, "--output", "scores.csv")
    detector = applications.AnomalyDetector(model_in(folder), "reconstruction", 0.1, smoothing=0.7).fit(X)
    assert report["threshold"] == pytest.approx(-detector.offset_)


def test_anomaly_exports_no_score_that_compresses_images(run, tmp_path):
    status, _, message = run(
        *(*ANOMALY, "--false-positive-rate", "0.1", "--output", "scores.csv", "--export", "detector.tflite")
    )
    assert status == 2 and not {*tmp_path.glob("scores.csv"), *tmp_path.glob("detector.tflite")}
    assert "Expected `score` to be one that a graph can compute: 'background', 'elbo'" in message


@pytest.mark.slow
def test_anomaly_exports_its_detector(run, folder, tmp_path):
    status, report, _ = run(
        *(*ANOMALY, "--score", "reconstruction", "--smoothing", "0.7", "--output", "scores.csv"),
        *("--export", "detector.tflite"),
    )
    assert status == 0 and report["output"] == ["scores.csv", "detector.tflite"]
    detector = applications.AnomalyDetector(model_in(folder), "reconstruction", 0.05, smoothing=0.7).fit(X)
    found = runtimes.LiteRT(tmp_path / "detector.tflite").run("anomaly", image=X[:1])
    np.testing.assert_allclose(found["score"], -detector.score_samples(X[:1]), rtol=1e-4)


@pytest.mark.parametrize(
    ("part", "missing"),
    [
        ("left", np.s_[:, :, :4]),
        ("bottom", np.s_[:, 4:]),
        ("box:2,3,4,1", np.s_[:, 2:6, 3:4]),
    ],
)
def test_impute_fills_in_a_part(run, folder, tmp_path, part, missing):
    words = ("--steps", "1", "--num-samples", "2", "--limit", "6")
    status, report, _ = run(
        "impute", "@vae.keras", "--data", "@images.npy", "--missing", part, "--output", "a.npy", *words
    )
    mask = np.ones((1, 8, 8, 1))
    mask[missing] = 0
    filled = np.load(tmp_path / "a.npy")
    np.testing.assert_array_equal(filled, applications.impute(model_in(folder), X[:6], mask, steps=1, num_samples=2))
    assert status == 0 and report["num"] == 6 and report["missing"] == pytest.approx(1 - mask.mean())
    assert report["mse"] == pytest.approx(np.mean((filled - X[:6])[missing] ** 2), rel=1e-5)


def test_the_seed_decides_what_is_missing_at_random(run):
    words = ("--missing", "random:0.3", "--steps", "1", "--num-samples", "2", "--seed", "5", "--output", "a.npy")
    _, report, _ = run("impute", "@vae.keras", "--data", "@images.npy", *words)
    assert report["missing"] == pytest.approx(np.mean(np.random.default_rng(5).uniform(size=X.shape) < 0.3))


def test_impute_takes_a_vaeac(run, folder, tmp_path):
    words = ("--missing", "right", "--output", "a.npy", "--num-draws", "2", "--limit", "3", "--seed", "4")
    words += ("--no-noise",)
    status, report, _ = run("impute", "@vaeac.keras", "--data", "@images.npy", "--num-samples", "5", *words)
    mask = np.ones((8, 8, 1))
    mask[:, 4:] = 0
    model = keras.models.load_model(folder / "vaeac.keras", compile=False)
    np.testing.assert_array_equal(
        np.load(tmp_path / "a.npy"), applications.impute(model, X[:3], mask, 2, noise=False, seed=4)
    )
    mean = applications.impute(model, X[:3], mask, num_samples=5, seed=4)
    assert status == 0 and report["mse"] == pytest.approx(np.mean((mean - X[:3])[:, :, 4:] ** 2), rel=1e-5)


def test_a_mask_of_a_jpeg_is_that_of_its_png(run, tmp_path):
    noisy = np.clip(255 * np.eye(8) + np.random.default_rng(0).integers(-9, 10, (8, 8)), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "noisy.png")
    words = ("impute", "@vae.keras", "--data", "@images.npy", "--limit", "3", "--mask")
    for name, mask in (("a", "@mask.png"), ("b", str(tmp_path / "noisy.png"))):
        status, report, _ = run(*words, mask, "--output", str(tmp_path / f"{name}.npy"), "--steps", "1")
        assert status == 0 and report["missing"] == pytest.approx(7 / 8)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))


def test_impute_takes_a_mask_and_writes_draws_and_pictures(run, tmp_path):
    words = ("impute", "@vae.keras", "--data", "@images.npy", "--mask", "@mask.png", "--limit", "3")
    words += ("--steps", "1", "--num-samples", "2", "--num-draws", "2")
    assert run(*words, "--output", "draws.npy")[0] == 0
    draws = np.load(tmp_path / "draws.npy")
    assert draws.shape == (2, 3, 8, 8, 1)
    diagonal = np.eye(8, dtype=bool)
    np.testing.assert_array_equal(draws[:, :, diagonal], np.broadcast_to(X[:3][:, diagonal], (2, 3, 8, 1)))
    assert run(*words, "--output", "all.png", "--scale", "1")[0] == 0
    assert Image.open(tmp_path / "all.png").size == (3 * 9 + 1, 4 * 9 + 1)  # holes, the mean and two draws
    assert run(*words, "--output", "filled")[0] == 0
    names = {f"{row:05d}{draw}.png" for row in range(3) for draw in ("", "_draw_1", "_draw_2")}
    assert {path.name for path in (tmp_path / "filled").iterdir()} == names
    second = np.asarray(Image.open(tmp_path / "filled" / "00000_draw_2.png"))
    np.testing.assert_allclose(second, 255 * draws[1, 0, ..., 0], atol=0.51)


def test_denoise_removes_what_it_added(run, folder, tmp_path):
    words = ("denoise", "@vae.keras", "--data", "@images.npy", "--limit", "4", "--add", "gaussian:0.2", "--seed", "3")
    status, report, _ = run(*words, "--output", "clean")
    noisy = applications.add_noise(X[:4], "gaussian", 0.2, seed=3)
    clean = applications.denoise(model_in(folder), noisy)
    written = np.stack([np.asarray(Image.open(path)) for path in sorted((tmp_path / "clean").iterdir())])
    np.testing.assert_allclose(written, 255 * clean[..., 0], atol=0.51)
    assert status == 0 and report["mse_before"] == pytest.approx(np.mean((noisy - X[:4]) ** 2), rel=1e-4)
    assert report["mse_after"] == pytest.approx(np.mean((clean - X[:4]) ** 2), rel=1e-4)
    assert run(*words, "--deviation", "0.2", "--steps", "1", "--output", "clean.png", "--scale", "1")[0] == 0
    assert Image.open(tmp_path / "clean.png").size == (4 * 9 + 1, 2 * 9 + 1)


ANOMALY = ("anomaly", "@vae.keras", "--data", "@images.npy", "--normal", "@images.npy")
EXPLORE = ("explore", "@vae.keras", "--data", "@images.npy", "--output", "a.html")
DENOISE = ("denoise", "@vae.keras", "--data", "@images.npy", "--output", "a.png")
IMPUTE = ("impute", "@vae.keras", "--data", "@images.npy", "--output", "a.npy")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*ANOMALY, "--output", "a.txt"), "Expected `--output` to be a file that ends in .csv"),
        ((*ANOMALY, "--output", "a.csv", "--score", "energy"), "Expected `score` to be one of"),
        ((*ANOMALY, "--output", "a.csv", "--false-positive-rate", "0.001"), "; 0.001 takes 999 of them"),
        (("anomaly", "@vae.keras", "--data", "@text.png", "--normal", "@images.npy", "--output", "a.csv"), "text.png"),
        ((*IMPUTE, "--missing", "middle"), "Expected --missing to be left, right, top, bottom"),
        ((*IMPUTE, "--missing", "box:7,0,2,2"), "box:ROW,COLUMN,HEIGHT,WIDTH within 8×8. Received: box:7,0,2,2"),
        ((*IMPUTE, "--missing", "box:-3,0,2,2"), "Expected --missing to be left, right, top, bottom"),
        ((*IMPUTE, "--missing", "left:4"), "Expected --missing to be left, right, top, bottom"),
        ((*IMPUTE, "--missing", "left", "--num-draws", "0"), "Expected `--num-draws` to be an integer >= 1"),
        ((*IMPUTE, "--missing", "left", "--no-noise"), "Expected `--num-draws` to be given"),
        ((*IMPUTE, "--mask", "@nan.npy"), "Expected --mask to be of finite numbers"),
        ((*IMPUTE, "--mask", "@none.npy"), "Expected --mask to be a picture or a .npy file"),
        ((*ANOMALY[:-1], "@none.npy", "--output", "a.csv"), "Expected --normal to exist"),
        ((*ANOMALY[:-1], "@text.png", "--output", "a.csv"), "Expected --normal to be pictures"),
        ((*ANOMALY[:-1], "@nan.npy", "--output", "a.csv"), "nan.npy. Received: values that are not finite"),
        ((*ANOMALY, "--output", "a.csv", "--export", "a.csv"), "a path of its own for each output"),
        (
            (
                "anomaly",
                "@vae.keras",
                "--data",
                "@signed.npy",
                "--normal",
                "@images.npy",
                "--score",
                "elbo",
                "--output",
                "a.csv",
            ),
            "Expected `x` to lie in [0, 1]",
        ),
        ((*EXPLORE, "--label", "3"), "Expected `--label` to be left out without --manifold"),
        (
            (*IMPUTE, "--missing", "left", "--scale", "2"),
            "Expected `--scale` to be left out where --output is an array",
        ),
        ((*IMPUTE, "--missing", "random:0.5", "--seed", "-1"), "Expected `--seed` to be an integer >= 0 and < 2**31"),
        ((*ANOMALY, "--output", "a.csv", "--seed", "-1"), "Expected `--seed` to be an integer >= 0 and < 2**31"),
        ((*DENOISE, "--seed", "3"), "Expected `--seed` to be left out without --add"),
        ((*DENOISE, "--steps", "3"), "Expected `--steps` to be left out without --deviation"),
        ((*EXPLORE, "--litert", "."), "Expected `--litert` to be left out without --serve"),
        ((*IMPUTE, "--missing", "random:2"), "Expected --missing to be left, right, top, bottom"),
        ((*IMPUTE, "--mask", "@text.png"), "Expected --mask to be a picture or a .npy file"),
        (
            (*ANOMALY, "--output", "a.csv", "--score", "elbo", "--smoothing", "1"),
            "Expected `--smoothing` to be left out with --score elbo, unless --heat-maps are drawn",
        ),
        ((*IMPUTE, "--mask", "@images.npy"), "Expected --mask to be 0 (black) where values are missing"),
        ((*IMPUTE, "--mask", "@mask.png", "--method", "mean"), "Expected `method` to be one of"),
        ((*IMPUTE, "--missing", "left", "--method", "prior"), "Expected `method` to be not 'prior' with a VAE"),
        ((*DENOISE, "--add", "blur"), "KIND:LEVEL"),
        ((*DENOISE, "--add", "snow:1"), "Expected `--add` to be one of 'gaussian', 'salt_and_pepper', 'blur'"),
    ],
)
def test_wrong_input_gets_one_line_and_leaves_nothing_behind(run, tmp_path, words, message):
    status, report, error = run(*words)
    assert status == 2 and report is None
    assert message in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_pictures_in_a_folder_of_data_are_told_of(run, tmp_path):
    applications.save_images(tmp_path / "pictures", X[:3])
    data = ("reconstruct", "@vae.keras", "--data", str(tmp_path / "pictures"), "--output")
    told = "lies in {}: its pictures will be data".format(tmp_path / "pictures")
    for output, expected in (("pictures/new/r.png", True), ("pictures/new", True), ("other.png", False)):
        status, _, errors = run(*data, str(tmp_path / output))
        assert (status, told in errors) == (0, expected)
        shutil.rmtree(tmp_path / "pictures" / "new", ignore_errors=True)


def test_what_a_command_reads_is_not_replaced(run, tmp_path):
    np.save(tmp_path / "x.npy", X)
    applications.save_images(tmp_path / "pictures", X[:3])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    data, picture = str(tmp_path / "x.npy"), str(min((tmp_path / "pictures").iterdir()))
    for words, option in (
        (("evaluate", "@vae.keras", "--data", data, "--metrics", "reconstruction", "--html", data), "--html"),
        (("reconstruct", "@vae.keras", "--data", str(tmp_path / "pictures"), "--output", picture), "--output"),
        (("reconstruct", "@vae.keras", "--data", picture, "--output", picture), "--output"),
    ):
        status, _, errors = run(*words)
        assert status == 2 and f"Expected `{option}` to be another file than those of `data`" in errors
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.*")}


def test_a_path_is_for_one_output_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="Expected a path of its own for each output"):
        _output.require_different("a.csv", None, str(tmp_path / "a.csv"))


def test_scores_of_anomalies_depend_on_the_seed(run, tmp_path):
    found = {}
    for seed, name in ((5, "a"), (5, "b"), (6, "c")):
        words = ("--score", "elbo", "--seed", str(seed), "--output", f"{name}.csv")
        assert run(*ANOMALY, *words)[0] == 0
        found[name] = (tmp_path / f"{name}.csv").read_text()
    assert found["a"] == found["b"] != found["c"]
