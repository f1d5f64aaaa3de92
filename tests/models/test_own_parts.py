"""A quantizer and a likelihood of the user's own: in training, saved and exported; and those that lack a part."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers, ops

import zoo
from zoo import networks

SHAPE = (8, 8, 1)
X = np.random.default_rng(0).uniform(size=(16, *SHAPE)).astype("float32")


@keras.saving.register_keras_serializable("tests")
class LaplaceLikelihood(zoo.likelihoods.Likelihood):
    """p(x|z) = Π_i e^(−|x_i − m_i| / b) / 2b."""

    support = None

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def log_prob(self, x, params, training=False):
        values = -ops.abs(x - params) / self.scale - np.log(2 * self.scale)
        return ops.sum(ops.reshape(values, (ops.shape(values)[0], -1)), axis=1)

    def mean(self, params):
        return params

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("tests")
class Sign(zoo.quantizers.Quantizer):
    """Each number becomes −step or step; a vector of d has 2^d codes."""

    def __init__(self, code_dim, step=1.0, **kwargs):
        super().__init__(**kwargs)
        self.code_dim, self.step = code_dim, step
        self.num_codes = 2**code_dim
        self.built = True

    def call(self, z_e, training=False):
        bits = ops.cast(z_e > 0, "int32")
        codes = ops.sum(bits * np.int32(2 ** np.arange(self.code_dim)), axis=-1)
        nearest = self.step * (2.0 * ops.cast(bits, "float32") - 1.0)
        none = ops.zeros(ops.shape(z_e)[:1])
        distance = ops.sum(ops.reshape(ops.square(z_e - nearest), (ops.shape(z_e)[0], -1)), axis=1)
        return {"z_q": z_e + ops.stop_gradient(nearest - z_e), "codes": codes, "codebook": none, "commitment": distance}

    def lookup(self, codes):
        rows = ops.reshape(codes, (-1, 1))
        bits = ops.mod(ops.floor_divide(rows, np.int32(2 ** np.arange(self.code_dim))), 2)
        return ops.reshape(self.step * (2.0 * ops.cast(bits, "float32") - 1.0), (*ops.shape(codes), self.code_dim))

    def get_config(self):
        return {**super().get_config(), "code_dim": self.code_dim, "step": self.step}


def make_vae():
    encoder, decoder = networks.mlp_encoder(SHAPE, 2, (8,)), networks.mlp_decoder(SHAPE, 2, (8,))
    return zoo.VAE(encoder, decoder, LaplaceLikelihood(0.25), seed=0)


def make_vq_vae():
    encoder = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(3, 4, 4)])
    decoder = keras.Sequential([keras.Input((2, 2, 3)), layers.Conv2DTranspose(1, 4, 4)])
    return zoo.VQVAE(encoder, decoder, Sign(3, step=0.5), "gaussian", commitment_cost=0.5)


def signature(path, name, **inputs):
    if path.is_dir():
        outputs = tf.saved_model.load(str(path)).signatures[name](**{k: tf.constant(v) for k, v in inputs.items()})
        return {key: np.array(value) for key, value in outputs.items()}
    runner = Interpreter(str(path)).get_signature_runner(name)
    rows = [runner(**{key: value[i : i + 1] for key, value in inputs.items()}) for i in range(3)]
    return {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}


@pytest.mark.parametrize(("make", "part", "attributes"), [
    (make_vae, "likelihood", {"scale": 0.25}), (make_vq_vae, "quantizer", {"code_dim": 3, "step": 0.5, "num_codes": 8}),
])  # fmt: skip
def test_parts_of_the_users_own_train_and_are_saved_and_exported(make, part, attributes, tmp_path):
    model = make()
    model.compile(keras.optimizers.Adam(3e-2))
    history = model.fit(X, epochs=15, verbose=0).history["loss"]
    assert np.all(np.isfinite(history)) and history[-1] < history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for name, value in attributes.items():
        assert getattr(getattr(loaded, part), name) == value
    np.testing.assert_array_equal(loaded.reconstruct(X), model.reconstruct(X))
    for target in (tmp_path / "saved_model", tmp_path / "model.tflite"):
        path = model.export(target)
        image = signature(path, "reconstruct", image=X[:3])["image"]
        np.testing.assert_allclose(image, model.reconstruct(X[:3]), atol=1e-4)
        if part == "likelihood":
            seeds = np.int32([1, 2, 3])
            received = signature(path, "log_prob", image=X[:3], seed=seeds)["log_prob"]
            np.testing.assert_allclose(received, model.log_prob(X[:3], seed=seeds), rtol=1e-4)
        else:
            np.testing.assert_array_equal(signature(path, "encode", image=X[:3])["codes"], model.encode(X[:3]))


def test_the_log_probability_of_a_likelihood_of_the_users_own_is_in_the_objective():
    model = make_vae()
    model.sampling.noise = lambda shape: tf.zeros(shape)
    terms = model.compute_terms(X)
    params = np.array(model.decoder(model.encode(X)["mean"]))
    expected = np.sum(np.abs(X - params) / 0.25 + np.log(0.5), axis=(1, 2, 3))
    np.testing.assert_allclose(terms["reconstruction"], expected, rtol=1e-5)


def test_what_the_commitment_of_a_quantizer_of_the_users_own_costs():
    model = make_vq_vae()
    terms = model.compute_terms(X)
    z_e = np.array(model.encoder(X))
    distance = np.sum((z_e - np.where(z_e > 0, 0.5, -0.5)) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(terms["commitment"], distance, rtol=1e-5)
    np.testing.assert_allclose(terms["loss"], terms["reconstruction"] + 0.5 * distance, rtol=1e-5)


class WithoutMean(zoo.likelihoods.Likelihood):
    def log_prob(self, x, params, training=False):
        return ops.zeros(ops.shape(x)[:1])


class WithoutLookup(zoo.quantizers.Quantizer):
    num_codes = 4

    def call(self, z_e, training=False):
        return {}


def test_incomplete_parts_are_named_by_what_they_lack():
    encoder, decoder = networks.mlp_encoder(SHAPE, 2, (8,)), networks.mlp_decoder(SHAPE, 2, (8,))
    with pytest.raises(
        ValueError, match="Expected `likelihood` to be a .*Likelihood .* Received: a WithoutMean, without mean$"
    ):
        zoo.VAE(encoder, decoder, WithoutMean())
    with pytest.raises(ValueError, match="Expected `likelihood` to be .* without log_prob, mean$"):
        zoo.VAE(encoder, decoder, zoo.likelihoods.Likelihood())
    with pytest.raises(ValueError, match="Expected `quantizer` to be .* a WithoutLookup, without lookup, code_dim$"):
        zoo.VQVAE(encoder, decoder, WithoutLookup())
    with pytest.raises(
        ValueError, match="Expected `quantizer` to be a zoo.quantizers.Quantizer that defines call, lookup"
    ):
        zoo.VQVAE(encoder, decoder, layers.Dense(3))


class Returns(zoo.likelihoods.Likelihood):
    """Log-probabilities of another shape than one for each example."""

    support = None

    def __init__(self, reduce):
        super().__init__()
        self.reduce = reduce

    def log_prob(self, x, params, training=False):
        return self.reduce(-ops.abs(x - params))

    def mean(self, params):
        return params


class ReturnsPrior(zoo.priors.LatentPrior):
    def __init__(self, reduce):
        super().__init__(2)
        self.reduce = reduce
        self.built = True

    def log_density(self, z, labels=None):
        return self.reduce(-0.5 * ops.square(z) - 0.9189385)

    def draw(self, seeds, temperature, labels=None):
        return temperature[:, None] * zoo.random.normal(seeds, (2,))


@pytest.mark.parametrize("reduce", [lambda v: v, ops.sum, lambda v: ops.sum(v, axis=-1, keepdims=True)])
def test_a_shape_that_would_be_broadcast_is_refused(reduce):
    networks_of = networks.mlp_encoder(SHAPE, 2, (8,)), networks.mlp_decoder(SHAPE, 2, (8,))
    message = "of {} to give a number for each example, \\[B\\]. Received: shape"
    for model, name in (
        (zoo.VAE(*networks_of, Returns(reduce)), "Returns"),
        (zoo.VAE(*networks_of, "bernoulli", prior=ReturnsPrior(reduce)), "ReturnsPrior"),
    ):
        model.compile("sgd")
        for call in (lambda model=model: model.fit(X, verbose=0), lambda model=model: model.log_prob(X[:3])):
            with pytest.raises(ValueError, match=message.format(name)):
                call()


def test_a_decoder_of_two_outputs_is_refused():
    z = keras.Input((2,))
    decoder = keras.Model(z, [layers.Dense(64)(z), layers.Dense(64)(z)])
    model = zoo.VAE(networks.mlp_encoder(SHAPE, 2, (8,)), decoder, "bernoulli")
    for call in (lambda: model.sample(1), lambda: model.reconstruct(X)):
        with pytest.raises(ValueError, match="Expected `decoder` to be a network of one output. Received: .*2 outputs"):
            call()


def test_a_part_or_a_setting_that_is_exchanged_counts_from_the_next_call_on():
    encoder, decoder = networks.mlp_encoder(SHAPE, 2, (8,)), networks.mlp_decoder(SHAPE, 2, (8,))
    model = zoo.BetaVAE(encoder, decoder, likelihood=zoo.likelihoods.Gaussian(1.0), beta=1.0, seed=0)
    model.compile("sgd")

    def penalties():
        logs = model.fit(X, validation_data=X, verbose=0, batch_size=16).history
        return [(logs[f"{of}loss"][0] - logs[f"{of}reconstruction"][0]) / logs[f"{of}kl"][0] for of in ("", "val_")]

    assert penalties() == pytest.approx([1.0, 1.0], rel=1e-3)
    model.beta = 10.0
    assert penalties() == pytest.approx([10.0, 10.0], rel=1e-3)
    z = np.ones((3, 2), np.float32)
    model.decode(z)
    model.decoder = networks.mlp_decoder(SHAPE, 2, (8,))
    np.testing.assert_allclose(model.decode(z), np.clip(0.5 + model.decoder(z), 0.0, 1.0), atol=1e-6)
    before = model.log_prob(X[:3], 2, seed=0)
    model.likelihood = zoo.likelihoods.Gaussian(0.5)
    assert np.abs(model.log_prob(X[:3], 2, seed=0) - before).min() > 1.0
    with pytest.raises(ValueError, match=r"Expected `kl_weight` to be set by kl_weight.assign\(0.5\)"):
        model.kl_weight = 0.5


def test_a_network_that_is_exchanged_is_no_part_of_the_model_any_more(tmp_path):
    penalised = networks.mlp_encoder(SHAPE, 2, (8,))
    penalised.layers[-1].kernel_regularizer = keras.regularizers.L2(100.0)
    model = zoo.VAE(penalised, networks.mlp_decoder(SHAPE, 2, (8,)), seed=0)
    number = len(model.weights)
    model.encoder, model.decoder = networks.mlp_encoder(SHAPE, 3, (8,)), networks.mlp_decoder(SHAPE, 3, (8,))
    assert len(model.weights) == number and model.latent_dim == 3
    assert model.sample(2, seed=0).shape == (2, *SHAPE)
    model.compile("adam")
    logs = model.fit(X, verbose=0).history
    np.testing.assert_allclose(logs["loss"][0], logs["reconstruction"][0] + logs["kl"][0], rtol=1e-5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        keras.saving.load_model(tmp_path / "model.keras").reconstruct(X), model.reconstruct(X)
    )


def test_an_encoder_of_other_latents_than_those_of_a_trained_prior_is_refused():
    model = zoo.VAE(networks.mlp_encoder(SHAPE, 2, ()), networks.mlp_decoder(SHAPE, 2, ()), prior=zoo.priors.Flow(2))
    with pytest.raises(ValueError, match="Expected `encoder` to be one to 2 latents, as the prior has"):
        model.encoder = networks.mlp_encoder(SHAPE, 3, ())
    with pytest.raises(ValueError, match="Expected `decoder` to be a keras layer or model"):
        model.decoder = "mlp"
    assert model.latent_dim == 2


def test_bits_follow_the_likelihood():
    model = zoo.VAE(networks.mlp_encoder(SHAPE, 2, ()), networks.mlp_decoder(SHAPE, 2, ()), "gaussian")
    model.likelihood, model.decoder = "discretized_logistic", networks.mlp_decoder((*SHAPE[:2], 2), 2, ())
    model.compile("adam")
    assert model.fit(X, verbose=0).history["bits_per_dim"][0] > 1.0
    model.likelihood, model.decoder = "gaussian", networks.mlp_decoder(SHAPE, 2, ())
    model.compile("adam")
    assert "bits_per_dim" not in model.fit(X, verbose=0).history


def test_a_term_that_a_subclass_does_not_compute_is_not_reported():
    class LossAlone(zoo.VAE):
        def compute_terms(self, *args, **kwargs):
            return {"loss": super().compute_terms(*args, **kwargs)["loss"]}

    model = LossAlone(networks.mlp_encoder(SHAPE, 2, ()), networks.mlp_decoder(SHAPE, 2, ()))
    model.compile("adam")
    assert {*model.fit(X, validation_data=X, verbose=0).history} == {"loss", "val_loss"}


def test_the_figures_of_a_train_step_of_the_users_own_are_reported():
    class Own(zoo.VAE):
        def train_step(self, data):
            loss = self.compute_terms(data)["loss"]
            return {"loss": keras.ops.mean(loss), "each": loss}

    model = Own(networks.mlp_encoder(SHAPE, 2, ()), networks.mlp_decoder(SHAPE, 2, ()), seed=0)
    model.compile("adam")
    logs = model.fit(X, verbose=0).history
    assert logs["loss"][0] > 1.0 and logs["each"][0] > 1.0


def test_a_loss_that_keras_alone_would_call_is_refused():
    with pytest.raises(TypeError, match="Expected Own to define its loss by compute_terms.*Received: compute_loss"):

        class Own(zoo.VAE):
            def compute_loss(self, *args, **kwargs):
                return 0.0


def test_a_prior_that_draws_too_few_rows_is_refused():
    class OneRow(zoo.priors.StandardNormal):
        def draw(self, seeds, temperature, labels=None):
            return super().draw(seeds[:1], temperature[:1])

    model = zoo.VAE(networks.mlp_encoder(SHAPE, 2, ()), networks.mlp_decoder(SHAPE, 2, ()), prior=OneRow(2))
    with pytest.raises(ValueError, match="Expected `generate` to give 5 rows, one for each example"):
        model.sample(5, seed=0)


@pytest.mark.parametrize("output", [(64,), (8, 8, 2), (8, 8)])
def test_a_decoder_whose_output_is_no_image_decodes_nothing(output):
    """Neither does it in training, where the likelihood sees data beside it."""
    model = zoo.VAE(networks.mlp_encoder(SHAPE, 2, ()), networks.mlp_decoder(output, 2, ()), "bernoulli", seed=0)
    for call in (
        lambda: model.sample(2, seed=0),
        lambda: model.decode(np.zeros((2, 2), np.float32)),
        lambda: model.decode_embedding(np.zeros((2, 2), np.float32)),
        lambda: model.reconstruct(X[:2]),
        lambda: model.log_prob(X[:2]),
    ):
        with pytest.raises(ValueError, match=r"Expected the decoder to give \[B, 8, 8, 1\], as Bernoulli asks for 1"):
            call()


class OfBatch(zoo.VAE):
    """A model whose terms are not one for each example."""

    def compute_terms(self, x, labels=None, training=False, target=None):
        terms = super().compute_terms(x, labels, training, target)
        return terms | {"loss": self.changed(terms["loss"])}


class SummedPenalty(zoo.VAE):
    def penalty(self, latents):
        return keras.ops.sum(super().penalty(latents))


class SummedKL(zoo.priors.StandardNormal):
    def kl(self, mean, log_var, z, labels=None):
        return keras.ops.sum(super().kl(mean, log_var, z, labels), axis=0, keepdims=True)


@pytest.mark.parametrize(
    ("kind", "attributes", "prior", "message"),
    [
        (OfBatch, {"changed": lambda loss: loss[:, None]}, None, "'loss' of compute_terms to give a number for each"),
        (OfBatch, {"changed": keras.ops.mean}, None, "'loss' of compute_terms to give a number for each"),
        (SummedPenalty, {}, None, "the penalty of SummedPenalty to give a number for each example"),
        (zoo.VAE, {}, SummedKL(2), r"`prior` to be one whose kl is \[B,G\]. Received: .*a kl of shape \(1, 2\)"),
    ],
)
def test_terms_that_are_not_of_each_example_are_refused(kind, attributes, prior, message):
    networks = zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ())
    model = kind(*networks, prior=prior)
    for name, value in attributes.items():
        object.__setattr__(model, name, value)
    x = np.random.default_rng(0).uniform(size=(8, 4, 4, 1)).astype(np.float32)
    model.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match=f"Expected {message}"):
        model.fit(x, sample_weight=np.ones(8), verbose=0)


class SummedCommitment(zoo.quantizers.VectorQuantizer):
    def call(self, z_e, training=False):
        found = super().call(z_e, training=training)
        return found | {"commitment": keras.ops.sum(found["commitment"])}


def test_a_commitment_of_the_batch_is_refused():
    encoder = zoo.networks.residual_encoder((4, 4, 1), 2, filters=4, downsamples=1, blocks=0)
    decoder = zoo.networks.residual_decoder((2, 2, 2), 1, filters=4, upsamples=1, blocks=0)
    model = zoo.VQVAE(encoder, decoder, SummedCommitment(4, 2))
    with pytest.raises(ValueError, match="Expected 'commitment' of the quantizer to give a number for each example"):
        model.compute_terms(np.zeros((2, 4, 4, 1), np.float32), training=True)


def test_an_encoder_of_a_dict_and_no_optimizer_are_refused():
    inputs = keras.Input((4, 4, 1))
    x = layers.Flatten()(inputs)
    encoder = keras.Model(inputs, {"mean": layers.Dense(2)(x), "log_var": layers.Dense(2)(x)})
    with pytest.raises(ValueError, match=r"or of a list \[mean, log_var\]. Received: a dict of \['mean', 'log_var'\]"):
        zoo.VAE(encoder, zoo.networks.mlp_decoder((4, 4, 1), 2, ())).encode(np.zeros((2, 4, 4, 1), np.float32))
    model = zoo.VAE(zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ()))
    with pytest.raises(ValueError, match="Expected `optimizer` to be a Keras optimizer or its name"):
        model.compile(None)


@pytest.mark.parametrize(
    ("outputs", "name"),
    [
        (lambda x: [keras.layers.Dense(2)(x), keras.layers.Dense(2, activation="softplus")(x)], "softplus"),
        (lambda x: [keras.layers.Dense(2, activation="tanh")(x), keras.layers.Dense(2)(x)], "tanh"),
        (lambda x: keras.layers.Dense(4, activation="relu")(x), "relu"),
        (lambda x: keras.ops.reshape(keras.ops.hard_sigmoid(keras.layers.Dense(4)(x)), (-1, 4)), "hard_sigmoid"),
    ],
)
def test_an_encoder_that_ends_in_an_activation_is_warned_about(outputs, name):
    x = keras.Input(SHAPE)
    encoder = keras.Model(x, outputs(keras.layers.Flatten()(x)))
    with pytest.warns(UserWarning, match=f"The encoder ends in {name}, but gives means and log-variances"):
        zoo.VAE(encoder, networks.mlp_decoder(SHAPE, 2, ()))


@pytest.mark.parametrize("last", [keras.ops.sigmoid, keras.layers.Lambda(tf.sigmoid)])
def test_a_decoder_that_ends_in_an_operation_is_warned_about(last):
    z = keras.Input((2,))
    decoder = keras.Model(z, keras.ops.reshape(last(keras.layers.Dense(64)(z)), (-1, *SHAPE)))
    with pytest.warns(UserWarning, match="The decoder ends in sigmoid, but Bernoulli takes any numbers"):
        zoo.VAE(networks.mlp_encoder(SHAPE, 2, ()), decoder)


def test_networks_that_share_a_layer_are_warned_about_where_they_are_saved(tmp_path):
    def make():
        shared = layers.Dense(8, name="shared")
        x, z = keras.Input((8,)), keras.Input((2,))
        encoder = keras.Model(x, layers.Dense(4)(shared(x)))
        return zoo.VAE(encoder, keras.Model(z, layers.Dense(8)(shared(layers.Dense(8)(z)))), seed=0)

    model, other = make(), make()
    with pytest.warns(UserWarning, match="The encoder and the decoder share shared/kernel, shared/bias, and"):
        model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    x = np.random.default_rng(0).random((3, 8), np.float32)
    np.testing.assert_array_equal(other.reconstruct(x), model.reconstruct(x))


def test_only_the_activation_at_the_end_is_warned_about(recwarn):
    """Not that of a layer which is called twice, or of a class whose layers may be used in any order."""

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.flatten, self.last = layers.Flatten(), layers.Dense(4)
            self.hidden = layers.Dense(8, activation="relu")

        def call(self, x):
            return self.last(self.hidden(self.flatten(x)))

    x, shared = keras.Input(SHAPE), layers.Dense(64, activation="relu")
    y = shared(layers.Flatten()(x))
    twice = keras.Model(x, layers.Dense(4)(shared(y)))
    for encoder in (Own(), twice):
        zoo.VAE(encoder, networks.mlp_decoder(SHAPE, 2, ()))
    assert not [each for each in recwarn if "ends in" in str(each.message)]
