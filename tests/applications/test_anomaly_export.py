"""The exported signature `anomaly` gives the detector's own scores and answers."""

import json

import linear
import numpy as np
import pytest
import tensorflow as tf
from test_anomaly import FAR, IMAGES, NORMAL

import zoo
from zoo.applications import AnomalyDetector, _anomaly_signature
from zoo.export import parity, runtimes

MIXED = np.concatenate([NORMAL[:6], FAR[:2]])


@pytest.fixture(scope="module")
def model():
    return linear.vae()


@pytest.fixture(scope="module")
def images():
    networks = zoo.networks
    return zoo.VAE(networks.mlp_encoder((8, 8, 1), 2, ()), networks.mlp_decoder((8, 8, 1), 2, ()), seed=0)


@pytest.mark.parametrize(
    ("score", "settings"),
    [
        ("elbo", {}), ("kl", {"num_samples": 1}), ("log_prob", {}), ("reconstruction", {}), ("latent", {}),
        ("latent", {"num_neighbors": 3}), ("latent_density", {"num_components": 3}), ("density_of_states", {}),
        ("local_outlier", {"num_neighbors": 7}),
    ],
)  # fmt: skip
def test_the_graph_of_each_score_agrees_with_the_detector(model, score, settings):
    detector = AnomalyDetector(model, score, seed=5, **settings).fit(NORMAL)
    scores = _anomaly_signature.score_of(detector, tf.constant(MIXED))
    np.testing.assert_allclose(scores, -detector.score_samples(MIXED), rtol=1e-4, atol=1e-4)


def test_a_background_model_is_in_the_graph(model):
    detector = AnomalyDetector(model, "background", background=linear.vae()).fit(NORMAL)
    np.testing.assert_allclose(_anomaly_signature.score_of(detector, tf.constant(MIXED)), np.zeros(8), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "score"), [("rows", "elbo"), ("rows.tflite", "latent_density"), ("rows.tflite", "local_outlier")]
)
def test_an_export_scores_and_judges_as_the_detector_does(model, tmp_path, name, score):
    detector = AnomalyDetector(model, score, false_positive_rate=0.1, num_components=2).fit(NORMAL)
    path = detector.export(tmp_path / name, images=MIXED)
    runtime = runtimes.LiteRT(path) if path.suffix else runtimes.SavedModel(path)
    found = runtime.run("anomaly", x=MIXED)
    np.testing.assert_allclose(found["score"], -detector.score_samples(MIXED), rtol=1e-4, atol=1e-4)
    assert found["is_anomaly"].dtype == np.int32
    np.testing.assert_array_equal(found["is_anomaly"], detector.predict(MIXED) == -1)
    assert found["is_anomaly"][-2:].tolist() == [1, 1]
    wrong = runtime.run("anomaly", x=np.where(np.eye(8, 4) > 0, np.float32([[np.nan], [np.inf]] * 4), MIXED))
    assert np.isnan(wrong["score"][:4]).all() and wrong["is_anomaly"][:4].tolist() == [1] * 4
    np.testing.assert_allclose(wrong["score"][4:], found["score"][4:], rtol=1e-5)
    report = json.loads((path.with_suffix(".json") if path.suffix else path / "assets.extra/export.json").read_text())
    assert report["metadata"]["anomaly"] == {
        "score": score, "threshold": -detector.offset_, "false_positive_rate": 0.1
    }  # fmt: skip
    checked = {(row["signature"], row["output"]) for row in report["parity"]}
    assert {("anomaly", "score"), ("anomaly", "is_anomaly"), ("reconstruct", "x")} <= checked


def test_the_graph_smooths_as_the_detector_does(images):
    detector = AnomalyDetector(images, "reconstruction", false_positive_rate=0.2, smoothing=1.5).fit(IMAGES)
    scores = _anomaly_signature.score_of(detector, tf.constant(IMAGES))
    np.testing.assert_allclose(scores, -detector.score_samples(IMAGES), rtol=1e-4)


def test_scores_of_compressed_images_are_refused_with_those_that_can_be_exported(images, tmp_path):
    detector = AnomalyDetector(images, false_positive_rate=0.2).fit(IMAGES)
    with pytest.raises(ValueError, match="that a graph can compute: 'background', .*Received: score='density_of"):
        detector.export(tmp_path / "images")
    assert not list(tmp_path.iterdir())


def test_a_graph_that_differs_from_the_detector_is_not_exported(model, tmp_path, monkeypatch):
    detector = AnomalyDetector(model, "reconstruction").fit(NORMAL)
    monkeypatch.setattr(_anomaly_signature, "score_of", lambda detector, x: 1.001 * tf.reduce_sum(x * x, axis=1))
    with pytest.raises(parity.ParityError, match="agree with the detector within 0.0001"):
        detector.export(tmp_path / "rows")
    assert not list(tmp_path.iterdir())
