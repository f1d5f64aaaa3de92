"""Anomaly scores in closed form, and the false-positive rate that was asked for."""

import math
import pickle

import keras
import linear
import numpy as np
import pytest
from scipy import ndimage
from sklearn import base, pipeline, preprocessing

import zoo
from zoo.applications import AnomalyDetector, _comparisons, _scores, anomaly

NORMAL = linear.draw(400)
FAR = NORMAL[:50] + 6.0 * np.array([1, -1, 1, 1], np.float32)


@pytest.fixture(scope="module")
def model():
    return linear.vae()


@pytest.fixture(scope="module")
def images_model():
    keras.utils.set_random_seed(0)
    return zoo.VAE(zoo.networks.mlp_encoder((8, 8, 1), 2, ()), zoo.networks.mlp_decoder((8, 8, 1), 2, ()), seed=0)


IMAGES = np.random.default_rng(0).uniform(size=(30, 8, 8, 1)).astype(np.float32)


@pytest.mark.parametrize(
    ("number", "rate", "rank"), [(19, 0.05, 19), (99, 0.05, 95), (100, 0.05, 96), (9, 0.1, 9), (3, 0.5, 2)]
)
def test_the_threshold_is_at_the_rank_of_split_conformal_prediction(number, rate, rank):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, number + 1))
    assert anomaly.conformal_threshold(scores, rate) == pytest.approx(rank * (1.0 + 1e-5), rel=1e-9)


def test_too_few_examples_are_refused():
    with pytest.raises(ValueError, match="`false_positive_rate` to be at least 1/19 with 18 normal .*; 0.05 takes 19"):
        anomaly.conformal_threshold(np.zeros(18), 0.05)


def test_the_false_positive_rate_is_the_one_asked_for():
    """Over calibration sets of n and new examples, it is (n + 1 − rank) / (n + 1), the mean of a beta distribution."""
    rng = np.random.default_rng(0)
    rates = [np.mean(rng.normal(size=200) > anomaly.conformal_threshold(rng.normal(size=50), 0.1)) for _ in range(500)]
    # The rank is 46 of 50; the standard error of the mean is 0.002.
    assert abs(np.mean(rates) - 5 / 51) < 0.007


@pytest.mark.parametrize(
    "score", ["density_of_states", "reconstruction", "elbo", "log_prob", "latent", "local_outlier"]
)
def test_a_detector_finds_what_lies_far_off_and_passes_normal_examples(model, score):
    detector = AnomalyDetector(model, score, false_positive_rate=0.1).fit(NORMAL)
    fresh = linear.draw(500, seed=1)
    assert set(detector.predict(FAR)) == {-1}
    # A calibration set of 200 or more gives a rate with a standard deviation of 0.025.
    assert 0.03 < np.mean(detector.predict(fresh) == -1) < 0.18
    np.testing.assert_array_equal(detector.predict(fresh) == -1, detector.decision_function(fresh) < 0)
    np.testing.assert_allclose(detector.decision_function(fresh), detector.score_samples(fresh) - detector.offset_)


def test_elbo_and_log_prob_are_the_density_of_a_model_with_its_true_posterior(model):
    covariance = linear.WEIGHTS @ linear.WEIGHTS.T + linear.SIGMA**2 * np.eye(4)
    difference = NORMAL[:5] - linear.BIAS
    squared = np.einsum("ni,ij,nj->n", difference, np.linalg.inv(covariance), difference)
    log_density = -0.5 * (squared + np.linalg.slogdet(2 * math.pi * covariance)[1])
    log_prob = AnomalyDetector(model, "log_prob", num_samples=1).fit(NORMAL)
    np.testing.assert_allclose(log_prob.score_samples(NORMAL[:5]), log_density, atol=1e-3)
    elbo = AnomalyDetector(model, "elbo", num_samples=2000).fit(NORMAL[:100])
    np.testing.assert_allclose(
        elbo.score_samples(NORMAL[:5]), log_density, atol=0.15
    )  # the KL is exact, log p(x|z) not
    kl = AnomalyDetector(model, "kl").fit(NORMAL)
    mean, log_var = model.encode(NORMAL[:5]).values()
    by_hand = 0.5 * np.sum(np.exp(log_var) + np.square(mean) - 1 - log_var, axis=1)
    np.testing.assert_allclose(-kl.score_samples(NORMAL[:5]), by_hand, rtol=1e-4)


def test_reconstruction_is_the_squared_error_and_the_heat_map_its_parts(images_model):
    detector = AnomalyDetector(images_model, "reconstruction", false_positive_rate=0.2).fit(IMAGES)
    squared = np.square(images_model.reconstruct(IMAGES).numpy() - IMAGES)
    np.testing.assert_allclose(detector.score_samples(IMAGES), -squared.sum(axis=(1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(detector.heat_map(IMAGES), squared[..., 0], atol=1e-6)
    np.testing.assert_allclose(detector.heat_map(IMAGES.reshape(30, 64)), squared[..., 0], atol=1e-6)


def test_the_heat_map_of_a_colour_image_adds_its_channels():
    keras.utils.set_random_seed(0)
    model = zoo.VAE(zoo.networks.mlp_encoder((8, 8, 3), 2, ()), zoo.networks.mlp_decoder((8, 8, 3), 2, ()), seed=0)
    x = np.random.default_rng(0).uniform(size=(30, 8, 8, 3)).astype(np.float32)
    detector = AnomalyDetector(model, "reconstruction", 0.2).fit(x)
    found = detector.heat_map(x)
    np.testing.assert_allclose(found, np.square(model.reconstruct(x).numpy() - x).sum(axis=-1), rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), -detector.score_samples(x), rtol=1e-4)


@pytest.mark.parametrize(
    ("score", "number", "components"),
    [("density_of_states", 400, 4), ("density_of_states", 60, 3), ("latent_density", 400, 20)],
)
def test_the_default_number_of_gaussians_leaves_ten_examples_for_each(model, score, number, components):
    detector = AnomalyDetector(model, score, 0.2).fit(NORMAL[:number])
    assert detector.compared_.mixture.n_components == components


@pytest.mark.parametrize(("number", "neighbors"), [(400, 20), (20, 5)])
def test_the_default_number_of_neighbours_is_at_most_half_of_the_examples_to_compare_with(model, number, neighbors):
    detector = AnomalyDetector(model, "local_outlier", 0.2).fit(NORMAL[:number])
    assert detector.compared_.estimator.n_neighbors == neighbors


def test_a_score_that_compares_asks_for_two_examples_to_compare_with(model):
    with pytest.raises(ValueError, match="`x` to be more examples, as the score compares .* Received: x='3 examples'"):
        AnomalyDetector(model, "latent", 0.5, calibration=0.7).fit(NORMAL[:3])
    AnomalyDetector(model, "latent", 0.5, calibration=0.3).fit(NORMAL[:3])


def test_calibration_is_the_share_that_only_sets_the_threshold(model):
    detector = AnomalyDetector(model, "latent", 0.2, calibration=0.25).fit(NORMAL[:40])
    assert len(detector.compared_.known) == 30


def test_the_seed_decides_which_examples_set_the_threshold(model):
    first, again, other = (AnomalyDetector(model, "latent", seed=seed).fit(NORMAL).offset_ for seed in (0, 0, 1))
    assert first == again != other


def test_the_seed_decides_where_a_mixture_begins():
    states = np.random.default_rng(0).normal(size=(200, 2))
    one, again, other = (_comparisons.Density(states, 5, seed)(states) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3


def test_smoothing_is_a_gaussian_filter_of_the_difference(images_model):
    detector = AnomalyDetector(images_model, "reconstruction", false_positive_rate=0.2, smoothing=1.0).fit(IMAGES)
    difference = images_model.reconstruct(IMAGES).numpy() - IMAGES
    expected = np.square(ndimage.gaussian_filter(difference, (0, 1, 1, 0)))  # mirrored at the edges
    np.testing.assert_allclose(detector.heat_map(IMAGES), expected[..., 0], rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(detector.score_samples(IMAGES), -expected.sum(axis=(1, 2, 3)), rtol=1e-4)


def test_the_local_outlier_factor_is_the_density_of_neighbours_over_its_own():
    factor = _comparisons.LocalOutlier(np.array([[0.0], [1.0], [2.5], [4.5], [9.0]]), 2)
    # The distances to the second neighbours are 2.5, 1.5, 2 and 3.5. A distance counts as at least that of the
    # neighbour it leads to: from 1.4 to 1.0 and 2.5 they are 1.5 and 2, from 1.0 to 0.0 and 2.5 they are 2.5 and 2,
    # from 2.5 to 1.0 and 4.5 they are 1.5 and 3.5. A density is one over their mean.
    expected = [1.75 * (1 / 2.25 + 1 / 2.5) / 2]
    np.testing.assert_allclose(factor(np.array([[1.4]])), expected, rtol=1e-6)
    np.testing.assert_allclose(factor.tensor(np.array([[1.4]], np.float32)), expected, rtol=1e-6)


def test_the_distance_in_latent_space_is_of_mahalanobis_or_of_neighbours():
    e = np.random.default_rng(0).normal(size=(5000, 2)) * [1.0, 3.0]
    distance = _comparisons.LatentDistance(e, None)([[2.0, 0.0], [0.0, 6.0]])
    np.testing.assert_allclose(distance, [2.0, 2.0], rtol=0.05)
    square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [9.0, 9.0]])
    np.testing.assert_allclose(_comparisons.LatentDistance(square, 3)([[0.0, 0.0]]), [2 / 3])


def test_the_compressed_size_grows_with_detail_and_is_that_of_the_image_alone():
    flat, noise = np.zeros((1, 8, 8, 1), np.float32), IMAGES[:1]
    small, large = _scores.compressed_nats(np.concatenate([flat, noise])) / math.log(2) / 8
    assert small < 20  # eight equal rows
    assert 64 < large < 64 + 30  # noise cannot be compressed: its 64 bytes, and the format's own
    with pytest.raises(ValueError, match="only images have a compressed size"):
        _scores.compressed_nats(np.zeros((2, 5)))


def test_scores_that_compress_or_compare_take_away_what_they_should(images_model):
    def scores(score, **settings):
        detector = AnomalyDetector(images_model, score, false_positive_rate=0.4, **settings)
        return -detector.fit(IMAGES).score_samples(IMAGES)

    nats = _scores.compressed_nats(IMAGES)
    np.testing.assert_allclose(scores("complexity"), scores("elbo") - nats, rtol=1e-6)
    np.testing.assert_allclose(scores("error_per_nat"), np.log(scores("reconstruction")) - np.log(nats), rtol=1e-6)
    np.testing.assert_allclose(scores("background", background=images_model), np.zeros(30), atol=1e-3)
    states = np.random.default_rng(0).normal(size=(2000, 2)) * [1.0, 5.0]
    density = _comparisons.Density(states, 1, seed=0)
    low, high = density([[0.0, 0.0], [2.0, 0.0]])
    assert abs(high - low - 2.0) < 0.2  # ½ · 2², in standard deviations
    assert len(scores("density_of_states", num_components=2)) == 30


def test_a_score_depends_on_the_example_alone(model):
    detector = AnomalyDetector(model, "elbo").fit(NORMAL)
    scores = detector.score_samples(NORMAL[:7])
    np.testing.assert_array_equal(scores, detector.score_samples(NORMAL[:7]))
    np.testing.assert_allclose(detector.score_samples(NORMAL[4:5]), scores[4:5], rtol=1e-5)
    assert np.any(scores != AnomalyDetector(model, "elbo", seed=1).fit(NORMAL).score_samples(NORMAL[:7]))


def test_detectors_are_cloned_and_pickled_and_work_in_a_pipeline(images_model):
    detector = AnomalyDetector(images_model, "error_per_nat", false_positive_rate=0.2, seed=3)
    cloned = base.clone(detector)
    assert cloned.get_params()["false_positive_rate"] == 0.2 and cloned.model is not images_model
    rows = IMAGES.reshape(30, 64)
    steps = pipeline.make_pipeline(preprocessing.FunctionTransformer(lambda x: x / 2), cloned).fit(rows)
    assert steps[-1].n_features_in_ == 64
    expected = detector.fit(IMAGES / 2).predict(IMAGES)
    assert set(expected) <= {-1, 1}
    np.testing.assert_array_equal(steps.predict(2 * rows), expected)
    again = pickle.loads(pickle.dumps(detector))
    np.testing.assert_allclose(again.score_samples(IMAGES), detector.score_samples(IMAGES), rtol=1e-6)
    assert again.offset_ == detector.offset_


def test_fit_predict_and_a_hierarchical_model_work():
    encoder = zoo.networks.bottom_up_encoder((8, 8, 1), scales=(4,), width=4)
    model = zoo.HierarchicalVAE(encoder, zoo.networks.TopDown((8, 8, 1), scales=(4,), width=4))
    detector = AnomalyDetector(model, "elbo", false_positive_rate=0.1, num_samples=200)
    assert np.sum(detector.fit_predict(IMAGES) == -1) == 2  # beyond rank ⌈31 · 0.9⌉ = 28 of 30
    elbo = np.mean([model.log_prob(IMAGES[:3], 1, seed) for seed in range(40)], axis=0)
    np.testing.assert_allclose(detector.score_samples(IMAGES[:3]), elbo, atol=0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"score": "energy"}, "Expected `score` to be one of 'density_of_states'"),
        ({"false_positive_rate": 0.0}, "Expected `false_positive_rate` to be a finite number > 0 and < 1"),
        ({"score": "background"}, "Expected `background` to be a model of the zoo"),
        ({"score": "latent", "num_neighbors": 400}, "Expected `num_neighbors` to be at most the 200 examples"),
        ({"score": "local_outlier", "num_neighbors": 200}, "`num_neighbors` to be below the number of examples"),
        ({"score": "reconstruction", "smoothing": 1.0}, "Expected `smoothing` to be 0 for data that is not an image"),
        ({"score": "elbo", "smoothing": 1.0}, "Expected `smoothing` to be 0 for data that is not an image"),
        ({"score": "latent", "calibration": 1.0}, "Expected `calibration` to be a finite number > 0 and < 1"),
    ],
)
def test_bad_settings_are_named(model, settings, message):
    with pytest.raises(ValueError, match=message):
        AnomalyDetector(model, **settings).fit(NORMAL)


def test_bad_examples_and_models_are_named(images_model):
    with pytest.raises(ValueError, match=r"Expected `x` to be of shape \('N', 8, 8, 1\) or \('N', 64\)"):
        AnomalyDetector(images_model).fit(np.zeros((40, 63)))
    with pytest.raises(ValueError, match="Divide by 255"):
        AnomalyDetector(images_model).fit(np.zeros((40, 8, 8, 1), np.uint8))
    networks = zoo.networks
    cvae = zoo.CVAE(networks.mlp_encoder((4, 4, 3), 2, ()), networks.mlp_decoder((4, 4, 1), 4, ()), num_classes=2)
    with pytest.raises(ValueError, match="Expected `model` to be one without labels"):
        AnomalyDetector(cvae).fit(np.zeros((40, 4, 4, 1), np.float32))


@pytest.mark.parametrize("change", [{"score": "elbo"}, {"false_positive_rate": 0.2}, {"smoothing": 1.0}, {"seed": 1}])
def test_an_argument_that_changes_after_fit_asks_for_another(images_model, change):
    detector = AnomalyDetector(images_model, "reconstruction", 0.1).fit(IMAGES)
    detector.set_params(**change)
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=f"Expected `{name}` to be .*, as in fit; call fit again.*{value}"):
        detector.predict(IMAGES)
    with pytest.raises(ValueError, match=f"Expected `{name}`"):
        detector.export("detector.tflite")
    detector.fit(IMAGES).predict(IMAGES)


def test_a_background_that_cannot_be_compared_is_refused(model, images_model):
    other = zoo.VAE(images_model.encoder, images_model.decoder, "gaussian")
    with pytest.raises(ValueError, match="Expected `background` to be .* like that of `model`, Bernoulli"):
        AnomalyDetector(images_model, "background", 0.1, background=other).fit(IMAGES)
    with pytest.raises(ValueError, match="Expected `background` to be a model of data of shape"):
        AnomalyDetector(other, "background", 0.1, background=model).fit(IMAGES)
    with pytest.raises(ValueError, match="Expected `model` to be a model of the zoo"):
        AnomalyDetector(images_model, "background", 0.1, background="vae").fit(IMAGES)

    class Own(zoo.likelihoods.Bernoulli):
        pass

    same = zoo.VAE(images_model.encoder, images_model.decoder, Own())
    AnomalyDetector(images_model, "background", 0.1, background=same).fit(IMAGES)


def test_a_background_in_other_units_is_refused(model):
    """A density of centimetres is not compared with one of metres."""
    one, other = (
        zoo.VAE(model.encoder, model.decoder, zoo.likelihoods.Standardized(model.likelihood, [0.0] * 4, [unit] * 4))
        for unit in (1.0, 100.0)
    )
    with pytest.raises(ValueError, match="Expected `background` to be .*, Standardized, in the same units"):
        AnomalyDetector(one, "background", 0.1, background=other).fit(NORMAL)
    AnomalyDetector(one, "background", 0.1, background=one).fit(NORMAL)


def test_a_detector_of_an_earlier_version_works(images_model):
    detector = AnomalyDetector(images_model, "reconstruction", 0.1).fit(IMAGES)
    scores = detector.score_samples(IMAGES)
    del detector.fitted_with_
    np.testing.assert_array_equal(detector.score_samples(IMAGES), scores)


def test_columns_of_a_frame_keep_their_names_and_order(model):
    arrow = pytest.importorskip("pyarrow")  # a part of tensorflow-datasets; scikit-learn takes its tables as frames
    frame = arrow.table(dict(zip("abcd", NORMAL.T)))
    detector = AnomalyDetector(model, "elbo").fit(frame)
    assert detector.feature_names_in_.tolist() == list("abcd")
    detector.predict(frame)
    for use in (detector.predict, detector.score_samples, detector.heat_map):
        with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
            use(frame.select(list("dcba")))


def test_an_example_that_is_repeated_does_not_exceed_its_own_score(model):
    normal = np.repeat(NORMAL[:1], 100, axis=0)
    detector = AnomalyDetector(model, "elbo", 0.1).fit(normal)
    nudged = NORMAL[:1] * np.float32(1.0 + 1e-7)
    assert detector.predict(NORMAL[:1]).tolist() == detector.predict(nudged).tolist() == [1]


def test_the_least_number_of_examples_is_exact():
    assert all(anomaly.least_examples(1 / (number + 1)) == number for number in range(2, 3000))
