"""What holds for every model of the zoo."""

import contextlib
import functools
import gc
import math
import operator

import conformance
import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo._compat import tensorflow as tf_compat
from zoo.runtime import cores

NAMES = list(conformance.ENTRIES)
BOUNDED = [name for name in NAMES if not name.startswith("vq")]  # those whose objective is a bound
SAMPLERS = [*BOUNDED, "vq_vae_prior"]


@pytest.fixture(params=conformance.core(NAMES))
def name(request):
    return request.param


def make(name, **compile_kwargs):
    keras.utils.set_random_seed(0)
    model = conformance.ENTRIES[name].make()
    model.compile(keras.optimizers.Adam(1e-2), **compile_kwargs)
    return model


def inputs(name, number=32, seed=0):
    x, classes = conformance.images(number, seed)
    entry = conformance.ENTRIES[name]
    x = conformance.data_of(entry, x)
    return (x, conformance.labels_of(entry, classes)) if entry.conditional else (x,)


def keywords(name, classes):
    entry = conformance.ENTRIES[name]
    return {"labels": conformance.labels_of(entry, classes)} if entry.conditional else {}


def dataset(name, batch_size=8, number=32):
    data = inputs(name, number)
    data = tf.data.Dataset.from_tensor_slices(data if len(data) > 1 else data[0])
    return data.batch(batch_size)


def fit(model, name, epochs=2, **kwargs):
    return model.fit(dataset(name, **kwargs), epochs=epochs, verbose=0, shuffle=False).history


@functools.cache
def trained(name):
    """A model for all the tests that leave it as it is: most of their time would go into its first step."""
    model = make(name)
    fit(model, name, epochs=15)
    return model


def stepped(name):
    """A model after one step, which is taken without a graph: its optimizer has a state too."""
    model = make(name, run_eagerly=True)
    fit(model, name, epochs=1, number=8)
    return model


@functools.cache
def evaluated(name):
    return trained(name).evaluate(dataset(name), verbose=0, return_dict=True)


@functools.cache
def first_history(name):
    """Of the training of `trained`, before any other."""
    return {key: list(values) for key, values in trained(name).history.history.items()}


@functools.cache
def bounds(name):
    """Function of (number, seed) that gives `log_prob` of the trained model for all images."""
    model = trained(name)
    x, *labels = inputs(name)
    return tf.function(
        lambda number, seed: model.log_prob(x, number, seed, labels[0] if labels else None), autograph=False
    )


@pytest.fixture(scope="module", autouse=True)
def graphs_are_not_optimized():
    """For a few steps each that takes longer than it saves. The graphs of all other tests are as users have them.

    Not for all tests: a graph that is not optimized takes twice the memory, 11 GB for each process in the end.
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


names_done = []
gradients = contextlib.ExitStack()


@pytest.fixture(autouse=True)
def trained_models_are_let_go(request):
    """When the tests of the next one begin (`conftest.py` sorts by model): all at once would take more than 20 GB."""
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    if name and name not in names_done[-1:]:
        names_done.append(name)
        gradients.close()
        gradients.enter_context(tf_compat.gradients_let_go())
        for function in (trained, evaluated, first_history, bounds, train_alone):
            function.cache_clear()
        if len(names_done) % 4 == 0:
            gc.collect()


@pytest.mark.parametrize("name", conformance.params(NAMES, quick=conformance.TRAINED))
def test_training_lowers_the_loss_and_reports_every_term_as_a_finite_number(name):
    model, history = trained(name), first_history(name)
    assert set(history) == set(model.trackers) and set(model.term_names) <= set(history)
    assert set(evaluated(name)) == set(history) - set(model.training_only)
    assert all(math.isfinite(value) for values in history.values() for value in values)
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("name", conformance.core(BOUNDED))
def test_elbo_is_minus_reconstruction_minus_kl_whatever_the_loss_weighs(name):
    model = trained(name)
    for weight in (0.0, 3.0):
        model.kl_weight.assign(weight)
        terms = model.compute_terms(*inputs(name))
        model.kl_weight.assign(1.0)
        np.testing.assert_allclose(terms["elbo"], -(terms["reconstruction"] + terms["kl"]), rtol=1e-6)
        assert terms["loss"].shape == terms["kl"].shape == (32,)
        if conformance.ENTRIES[name].closed_kl:
            assert np.all(terms["kl"].numpy() >= 0)


def test_bits_per_dim_are_reported_for_8_bit_likelihoods_alone(name):
    figures = evaluated(name)
    assert ("bits_per_dim" in figures) == conformance.ENTRIES[name].eight_bit
    if "bits_per_dim" in figures:
        assert figures["bits_per_dim"] == pytest.approx(-figures["elbo"] / (64 * math.log(2)), rel=1e-5)


# The IWAE has its own `log_prob`. tests/models/test_hierarchical_vae.py holds the bound against quadrature.
BOUNDS = conformance.params(BOUNDED, quick=("vae", "iwae"))


@pytest.mark.parametrize("name", BOUNDS)
def test_evaluate_reports_the_mean_of_one_sample_bounds(name):
    model = trained(name)
    means = np.mean([bounds(name)(1, tf.constant(seed)) for seed in range(200)], axis=1)
    reported = [model.evaluate(dataset(name), verbose=0, return_dict=True)["elbo"] for _ in range(20)]
    error = math.hypot(means.std() / math.sqrt(len(means)), np.std(reported) / math.sqrt(len(reported)))
    assert abs(means.mean() - np.mean(reported)) < 5 * error


@pytest.mark.parametrize("name", BOUNDS)
def test_more_importance_samples_tighten_the_bound(name):
    one = np.mean([bounds(name)(1, tf.constant(seed)) for seed in range(64)])
    assert np.mean(bounds(name)(64, tf.constant(0))) > one


def test_reconstructions_have_the_shape_the_type_and_the_range_of_the_data(name):
    model = trained(name)
    x, *labels = inputs(name, 5)
    low, high = model.data_range
    for found in (model(x, *labels), model.reconstruct(x, *labels), model.predict(dataset(name), verbose=0)[:5]):
        assert found.shape == x.shape and tf.as_dtype(found.dtype) == model.data_dtype == x.dtype
        assert np.min(found) >= low and np.max(found) <= high


def test_reconstruct_is_decode_of_encode_and_deterministic(name):
    model = trained(name)
    x, *labels = inputs(name, 5)
    latents = model.encode(x, *labels)
    if isinstance(latents, (dict, list)):
        several = isinstance(latents, list)
        layers = latents if several else [latents]
        for layer, shape in zip(layers, conformance.ENTRIES[name].latents, strict=True):
            assert layer["mean"].shape == layer["log_var"].shape == (5, *shape)
        latents = [layer["mean"] for layer in layers] if several else latents["mean"]
    else:
        assert latents.shape == (5, *conformance.ENTRIES[name].codes_shape) and latents.dtype == tf.int32
    np.testing.assert_allclose(model.decode(latents, *labels), model.reconstruct(x, *labels), atol=1e-6)
    np.testing.assert_array_equal(model.reconstruct(x, *labels), model.reconstruct(x, *labels))


def test_decode_embedding_of_embed_is_reconstruct(name):
    model = trained(name)
    x, *labels = inputs(name, 5)
    e = model.embed(x, *labels)
    assert e.shape == (5, model.embedding_dim) and e.dtype == tf.float32
    np.testing.assert_allclose(model.decode_embedding(e, *labels), model.reconstruct(x, *labels), atol=1e-6)


@pytest.mark.parametrize("name", conformance.core(SAMPLERS))
def test_a_sample_depends_on_its_own_seed_alone(name):
    model = trained(name)
    labels = np.arange(6) % 4
    samples = model.sample(6, seed=11, **keywords(name, labels)).numpy()
    seeds = zoo.random.fold_in(11, np.arange(6, dtype=np.int32)).numpy()
    one = model.sample(1, seed=seeds[4:5], **keywords(name, labels[4:5])).numpy()
    np.testing.assert_allclose(one[0], samples[4], atol=1e-6)
    turned = model.sample(6, seed=seeds[::-1].copy(), **keywords(name, labels[::-1].copy())).numpy()
    np.testing.assert_allclose(turned[::-1], samples, atol=1e-6)
    of_one_label = samples[::4] if conformance.ENTRIES[name].conditional else samples
    assert np.ptp(of_one_label, axis=0).max() > 1e-3


@pytest.mark.parametrize(
    "name", conformance.params(SAMPLERS, quick=("vae", "cvae", "hierarchical_vae", "vq_vae_prior"))
)
def test_observed_data_have_the_noise_of_their_own_seed(name):
    model = trained(name)
    labels = keywords(name, np.arange(4) % 4)
    seeds = zoo.random.row_seeds(11, 4).numpy()
    with pytest.raises(ValueError, match="Expected `observe` to be"):
        model.sample(4, seed=11, observe="no", **labels)
    observed = model.sample(4, seed=11, observe=True, **labels).numpy()
    one = model.sample(1, seed=seeds[2:3], observe=True, **{key: value[2:3] for key, value in labels.items()}).numpy()
    # Rounding decides on few values that lie at a threshold.
    assert observed.shape == (4, *model.image_shape) and np.mean(np.abs(one[0] - observed[2]) > 1e-5) < 0.02
    assert np.abs(observed - model.sample(4, seed=11, **labels)).max() > 1e-3


# tests/priors/latents/test_mixture.py has the modes of a mixture.
@pytest.mark.parametrize("name", conformance.core(SAMPLERS))
def test_without_a_seed_each_sample_is_another_and_at_temperature_zero_all_are_one(name):
    """Or one of the prior's modes."""
    model = trained(name)
    same = keywords(name, np.zeros(16, np.int32))  # two short texts may be the same by chance
    assert np.abs(model.sample(16, **same) - model.sample(16, **same)).max() > 1e-3
    modes = conformance.ENTRIES[name].modes
    number = 2 if modes == 1 else 40
    cold = model.sample(number, seed=0, temperature=0.0, **keywords(name, np.zeros(number, np.int32))).numpy()
    different = [i for i in range(number) if all(np.abs(cold[i] - cold[j]).max() > 1e-6 for j in range(i))]
    assert len(different) == modes


@pytest.mark.parametrize("name", conformance.core([name for name in BOUNDED if conformance.ENTRIES[name].modes == 1]))
def test_temperature_zero_is_the_mean(name):
    model = trained(name)
    same = keywords(name, np.zeros(2, np.int32))
    cold = model.sample(2, temperature=0.0, **same)
    np.testing.assert_allclose(cold, model.decode(prior_mean(model, 2, **same), **same), atol=1e-6)


def prior_mean(model, number, labels=None):
    """The prior's mean; of a flow the point that it takes to 0.

    Of a hierarchical VAE it is that of the top layer, below which `decode` takes the means itself.
    """
    if isinstance(model.prior, zoo.priors.ConditionalGaussian):  # of a VAEAC of which nothing is observed: one for all
        return np.resize(model.prior.moments(model.prior_labels(labels))[0], (number, conformance.LATENTS))
    if not isinstance(model, zoo.HierarchicalVAE):
        zeros = np.zeros((number, conformance.LATENTS), np.float32)
        return model.prior.invert(zeros, labels) if isinstance(model.prior, zoo.priors.Flow) else zeros
    top = model.decoder.blocks[0]
    return [top.prior(top.enter(model.decoder.begin(number)))[1]]


@pytest.mark.parametrize("name", conformance.of_each_class(NAMES))
def test_every_argument_survives_saving(name, tmp_path):
    model = trained(name) if name in conformance.TRAINED else stepped(name)
    x, *labels = inputs(name, 5)
    given = model(x, *labels)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for path, value in conformance.ENTRIES[name].attributes.items():
        assert operator.attrgetter(path)(loaded) == value, path
    for before, after in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(given, loaded(x, *labels))


# Of priors over codes and own networks this is in tests/models/test_vq_vae_prior.py and test_own_parts.py.
# A hierarchical VAE has no state but the weights and the optimizer, as a VAE.
RESUMED = ("vae", "capacity", "cvae", "vq_vae")


@pytest.mark.parametrize("name", conformance.params(NAMES, quick=RESUMED))
def test_training_goes_on_after_loading_as_if_it_had_never_stopped(name, tmp_path):
    model = trained(name)
    assert first_history(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    try:
        histories = [fit(either, name) for either in (model, loaded)]
        assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-6)
        for before, after in zip(model.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)
    finally:
        model.load_weights(tmp_path / "model.keras")  # as the other tests expect it


@functools.cache
def train_alone(name, number):
    return conformance.train_spread(name, tf.distribute.get_strategy(), number)


# One of each kind: what adds up over a batch, what is drawn, and what the codebook and the likelihood learn from it.
# A BetaVAE with a capacity does all that a VAE does. Layers of latents see replicas as they see parts of a batch.
KINDS = ("cvae", "capacity", "hierarchical_vae", "vq_vae")
ON_REPLICAS = ("capacity",)  # labels are spread as images are; test_workers.py spreads the VQ-VAE over two processes


# Whole batches, and a last one of three on two replicas; the second has whole ones too.
@pytest.mark.parametrize("name", conformance.params(NAMES, quick=ON_REPLICAS))
@pytest.mark.parametrize("number", (pytest.param(32, marks=pytest.mark.slow), 27))
def test_two_replicas_end_with_the_weights_of_one(name, number):
    alone, alone_history = train_alone(name, number)
    spread, spread_history = conformance.train_spread(
        name, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), number
    )  # fmt: skip
    for one, two in zip(alone.weights, spread.weights, strict=True):  # rounding, which Adam's first steps enlarge
        np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=0, atol=3e-5, err_msg=one.path)
    assert set(spread_history) == set(alone_history) and "val_loss" in alone_history
    learned = isinstance(getattr(alone, "prior", None), zoo.priors.LearnedPrior)
    for key, values in alone_history.items():
        # The KL to a learned prior is a small difference of larger terms.
        small = 1e-5 if learned and key.endswith("kl") else None
        assert spread_history[key] == pytest.approx(values, rel=1e-5, abs=small), key


# Parts of half a batch, one and two for the last one; or more parts than that has images.
@pytest.mark.parametrize("name", conformance.params(NAMES, quick=KINDS))
@pytest.mark.parametrize("number", (2, pytest.param(4, marks=pytest.mark.slow)))
def test_parts_of_a_batch_end_with_the_weights_of_the_whole(name, number):
    whole, whole_history = train_alone(name, 27)
    with cores.sub_batches(number):
        parts, parts_history = conformance.train_spread(name, tf.distribute.get_strategy(), 27)
    for one, other in zip(whole.weights, parts.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=0, atol=1e-5, err_msg=one.path)
    for key, values in whole_history.items():
        assert parts_history[key] == pytest.approx(values, rel=1e-5), key


@pytest.mark.parametrize("name", conformance.params(SAMPLERS, quick=("cvae", "vq_vae_prior")))
def test_parts_of_a_batch_have_the_log_probabilities_of_the_whole(name):
    model, given = make(name), inputs(name, 5)
    expected = model.log_prob(*given[:1], 2, 3, *given[1:])
    with cores.sub_batches(2):
        np.testing.assert_allclose(model.log_prob(*given[:1], 2, 3, *given[1:]), expected, rtol=1e-5)


# One of each kind of latents: the others compute with the same layers. tests/models/test_hierarchical_vae.py has the
# types of a hierarchical VAE's terms.
PRECISE = ("cvae", "vq_vae_prior")


@pytest.mark.parametrize("name", conformance.params(NAMES, quick=PRECISE))
def test_bfloat16_trains_and_reports_in_float32(name):
    check_mixed_precision(name, "mixed_bfloat16")


@pytest.mark.parametrize("name", conformance.params(NAMES, quick=("vq_vae",)))
def test_float16_trains_and_reports_in_float32(name):
    check_mixed_precision(name, "mixed_float16")


def check_mixed_precision(name, policy):
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        model = make(name)
        history = fit(model, name, epochs=12)
        terms = model.compute_terms(*inputs(name))
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    names = set(model.term_names) - set(model.training_only)  # those may come from what follows the step
    assert {str(terms[key].dtype) for key in names} == {"<dtype: 'float32'>"}
    assert all(math.isfinite(value) for value in history["loss"]) and history["loss"][-1] < history["loss"][0]


# What a step keeps for the next one, beside weights and counters: the C in force and a scale; a codebook, its revival.
@pytest.mark.parametrize("name", conformance.params(NAMES, quick=("capacity", "vq_vae")))
def test_steps_per_execution_changes_nothing(name):
    together = fit(make(name, steps_per_execution=4), name)
    assert first_history(name)["loss"][:2] == pytest.approx(together["loss"], rel=1e-5)


@pytest.mark.parametrize("name", conformance.of_each_class(NAMES))
def test_bad_input_is_refused_with_what_was_expected_and_what_came(name):
    model = make(name)
    x, *labels = inputs(name, 4)
    kind, wrong = ("floating-point", "uint8") if model.data_dtype == "float32" else ("int32", "float32")
    with pytest.raises(ValueError, match=f"Expected `x` to be {kind}. Received: dtype={wrong}"):
        model.encode((x * 255).astype(wrong), *labels)
    if model.data_range == (0, 1) and not isinstance(model.likelihood, zoo.likelihoods.Gaussian):
        with pytest.raises(ValueError, match=r"Expected `x` to lie in \[0, 1\]. Received: values from .* to 25[0-5]"):
            model.encode(255 * x, *labels)
    with pytest.raises(ValueError, match="Expected `loss` to be None.* Received: loss='mse'"):
        model.compile(loss="mse")
    with pytest.raises(ValueError, match="Expected `num_samples` to be an integer >= 1. Received: num_samples=0"):
        model.sample(0)
    with pytest.raises(ValueError, match="Expected `temperature` to be .*>= 0. Received: temperature=-1"):
        model.sample(1, temperature=-1)
    if conformance.ENTRIES[name].conditional:
        with pytest.raises(ValueError, match="Expected `labels`.* Received: None"):
            model.encode(x)
        dtype, shape = model.label_spec
        if dtype == "float32":
            expected = ", ".join(map(str, (4, *shape)))
            with pytest.raises(ValueError, match=rf"Expected `labels` to be float32 of shape \[{expected}\]"):
                model.encode(x, np.array([0, 1, 2, 3]))
            with pytest.raises(ValueError, match="Expected `labels` to be finite numbers"):
                model.encode(x, np.full((4, *shape), np.nan, np.float32))
        else:
            with pytest.raises(ValueError, match="Expected `labels` to be from 0 to 3. Received: labels=4"):
                model.encode(x, np.array([0, 1, 2, 4]))
    else:
        with pytest.raises(ValueError, match="Expected (no )?`labels`"):
            model.encode(x, np.zeros(4, np.int32))


@pytest.mark.parametrize("name", conformance.core([name for name in NAMES if name not in SAMPLERS]))
def test_a_vq_vae_without_a_prior_says_so_when_asked_to_sample(name):
    with pytest.raises(NotImplementedError, match="prior"):
        make(name).sample(2)
