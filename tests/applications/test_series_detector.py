"""A VAE of windows in the units of the series, and scores for each step."""

import keras
import numpy as np
import pytest

import zoo
from zoo import data
from zoo.applications import AnomalyDetector, SeriesDetector, series_vae
from zoo.applications.anomaly import conformal_threshold
from zoo.export import runtimes

STEPS = np.arange(400)


@pytest.fixture(scope="module")
def series():
    noise = np.random.default_rng(0).normal(size=(400, 2))
    wave = np.stack([20 + 5 * np.sin(0.4 * STEPS), 1013 + 8 * np.cos(0.4 * STEPS)], axis=1)
    return data.Series(wave + 0.2 * noise, names=("t", "p"))


@pytest.fixture(scope="module")
def model(series):
    keras.utils.set_random_seed(0)
    model = series_vae(series, 8, latent_dim=2, filters=(8,), dense=16, seed=0)
    model.compile(keras.optimizers.Adam(1e-2), steps_per_execution=10)
    model.fit(series.windows(8)[0], epochs=15, batch_size=32, verbose=0)
    return model


def test_the_model_takes_and_gives_the_units_of_the_series(model, series):
    windows = series.windows(8, 8)[0]
    error = np.abs(np.asarray(model.reconstruct(windows)) - windows).mean(axis=(0, 1))
    assert np.all(error < 0.35 * series.statistics()[1])
    sampled = np.asarray(model.sample(64, seed=1))
    np.testing.assert_allclose(sampled.mean(axis=(0, 1)), [20, 1013], atol=2.5)
    assert model.likelihood.names == ("t", "p")


def test_steps_out_of_the_rhythm_are_anomalies(model, series):
    detector = SeriesDetector(model, false_positive_rate=0.05).fit(series)
    # ⌈401 · 0.95⌉ of the 400 scores are at most the threshold.
    assert np.sum(detector.predict(series) == -1) == 400 - 381
    changed = series.values.copy()
    changed[100:104, 0] += 12
    scores = -detector.score_samples(data.Series(changed))
    assert scores.shape == (400,) and 100 <= np.argmax(scores) < 104
    far = np.r_[0:90, 114:400]
    np.testing.assert_allclose(scores[far], -detector.score_samples(series)[far], rtol=1e-4)


def test_a_series_at_other_steps_is_refused(model, series):
    detector = SeriesDetector(model).fit(data.Series(series.values, 0.1 * STEPS))
    detector.predict(data.Series(series.values, 100 + 0.1 * STEPS)), detector.predict(series)
    for step in (0.3, 1.0):
        message = f"Expected `x` to be a series at steps of 0.1, as the one of `fit`. Rec.* of {step:g}"
        with pytest.raises(ValueError, match=message):
            detector.predict(data.Series(series.values, step * STEPS))


def test_a_score_is_the_mean_over_the_windows_of_a_step(model, series):
    detector = SeriesDetector(model, stride=4).fit(series)
    windows, starts = series.windows(8, 4)
    errors = np.square(np.asarray(model.reconstruct(windows), np.float64) - windows)
    scaled = (errors / errors.mean(axis=(0, 1))).mean(axis=2)
    # Step 6 is in the windows that start at 0 and 4.
    np.testing.assert_allclose(-detector.score_samples(series)[6], (scaled[0, 6] + scaled[1, 2]) / 2, rtol=1e-4)
    assert starts[:2].tolist() == [0, 4]


def test_scores_of_whole_windows_and_of_short_pieces(model, series):
    cut = data.Series(series.values[:30], np.r_[0:16, 100:106, 200:208], gaps="cut")
    detector = SeriesDetector(model, "elbo", false_positive_rate=0.1, num_samples=1).fit(series)
    scores = detector.score_samples(cut)
    assert np.isnan(scores[16:22]).all() and not np.isnan(np.delete(scores, np.s_[16:22])).any()
    assert len(set(scores[22:])) == 1  # one window
    assert np.all(detector.predict(cut)[16:22] == 1)


def test_a_score_of_windows_has_the_samples_and_the_seed_of_the_detector(model, series):
    windows = series.windows(8, 40)[0]
    detector = SeriesDetector(model, "elbo", false_positive_rate=0.1, num_samples=3, seed=5).fit(series)
    of_windows = AnomalyDetector(model, "elbo", 0.1, num_samples=3, seed=5).fit(windows)
    np.testing.assert_array_equal(detector.detector_.score_samples(windows), of_windows.score_samples(windows))


def test_steps_that_are_labelled_do_not_set_the_threshold(model, series):
    values, labels = series.values.copy(), np.zeros(400)
    values[100:105] += 40.0
    labels[100:105] = 1
    detectors = [
        SeriesDetector(model, false_positive_rate=0.05).fit(data.Series(values, names=series.names, labels=each))
        for each in (labels, None)
    ]
    cut = data.Series(np.where(labels[:, None] > 0, np.nan, values), names=series.names, gaps="cut")
    clean = SeriesDetector(model, false_positive_rate=0.05).fit(cut)
    assert detectors[0].offset_ == clean.offset_
    np.testing.assert_array_equal(detectors[0].errors_, clean.errors_)
    assert detectors[1].errors_[0] > 2 * clean.errors_[0]


def test_the_tflite_file_gives_the_windows_of_the_seeds(model, tmp_path):
    model.export(tmp_path / "windows.tflite")
    seeds = np.asarray(zoo.random.row_seeds(7, 1))
    run = runtimes.LiteRT(tmp_path / "windows.tflite").run
    exported = run("sample", seed=seeds, temperature=np.float32([1]))["x"]
    np.testing.assert_allclose(exported, model.sample(1, seed=7), rtol=1e-5)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"false_positive_rate": 0}, "Expected `false_positive_rate` to be a finite number > 0"),
        ({"stride": 0}, "Expected `stride` to be an integer >= 1"),
    ],
)
def test_wrong_arguments_are_refused(model, series, change, message):
    with pytest.raises(ValueError, match=message):
        SeriesDetector(model, **change).fit(series)


def test_a_series_of_other_channels_and_a_model_of_images_are_refused(model, series):
    with pytest.raises(ValueError, match="Expected `x` to be a series of 2 channels"):
        SeriesDetector(model).fit(series.values[:, :1])
    turned = data.Series(series.values[:, ::-1], names=series.names[::-1])
    for detector in (SeriesDetector(model), SeriesDetector(model).fit(series)):
        with pytest.raises(
            ValueError, match=r"Expected `x` to be a series of the channels \('t', 'p'\), in this order"
        ):
            detector.score_samples(turned) if hasattr(detector, "offset_") else detector.fit(turned)
    images = zoo.VAE(zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ()))
    with pytest.raises(ValueError, match=r"Expected `model` to be one of windows \[B,T,C\]"):
        SeriesDetector(images).fit(series)
    with pytest.raises(ValueError, match=r"Expected `series_shape` to be \(T, C\) with T divisible by 4"):
        series_vae(series, 10)


@pytest.mark.parametrize("score", ["latent_density", "local_outlier"])
def test_windows_that_a_score_compares_with_do_not_set_its_threshold(model, series, score):
    detector = SeriesDetector(model, score, 0.1, stride=2).fit(series)
    first, second = series.split(0.5)
    known = first.windows(8, 2)[0]  # one of them is left out
    alone = AnomalyDetector(model, score, 0.5, num_samples=4, calibration=1 / len(known)).fit(known)
    windows = second.windows(8, 2)[0]
    np.testing.assert_allclose(detector.detector_.score_samples(windows), alone.score_samples(windows), rtol=1e-5)
    scores = -detector.score_samples(second)
    assert -detector.offset_ == pytest.approx(conformal_threshold(scores[~np.isnan(scores)], 0.1), rel=1e-6)


def test_a_channel_without_an_error_has_scores(model, series, monkeypatch):
    from zoo.applications import _scores

    monkeypatch.setattr(_scores, "squared_error", lambda model, windows: np.zeros(windows.shape))
    assert np.all(SeriesDetector(model).fit(series).score_samples(series) == 0.0)
