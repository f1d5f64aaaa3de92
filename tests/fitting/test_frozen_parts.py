"""Frozen parts stay as they are: after loading, and from one `fit` to the next, without another `compile`."""

import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo

X = np.random.default_rng(0).random((32, 4, 4, 1), np.float32)


@keras.saving.register_keras_serializable("tests")
class Encoder(keras.Model):
    """A user's own, whose layers its configuration does not name."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flat, self.norm, self.dense = (
            keras.layers.Flatten(), keras.layers.BatchNormalization(), keras.layers.Dense(4)
        )  # fmt: skip

    def call(self, x, training=False):
        return self.dense(self.norm(self.flat(x), training=training))


def compiled(model):
    model.compile(keras.optimizers.SGD(0.1))
    return model


def of_own_encoder():
    keras.utils.set_random_seed(0)
    model = zoo.VAE(Encoder(), zoo.networks.mlp_decoder((4, 4, 1), 2, ()), seed=0)
    compiled(model).fit(X, verbose=0)
    return model, "encoder"


def of_codes(quantizer):
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(3, 2, strides=2)])
    decoder = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Conv2DTranspose(1, 2, strides=2)])
    model = zoo.VQVAE(encoder, decoder, quantizer, "bernoulli")
    compiled(model).fit(X, verbose=0)
    return model, "quantizer"


def of_residual_codes():
    return of_codes(zoo.quantizers.ResidualQuantizer(8, 3, depth=2, seed=0))


def of_one_codebook():
    return of_codes(zoo.quantizers.VectorQuantizer(8, 3, seed=0))


def of_optimal_scale():
    keras.utils.set_random_seed(0)
    networks = zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ())
    model = zoo.VAE(*networks, zoo.likelihoods.Gaussian("optimal"), seed=0)
    compiled(model).fit(X, verbose=0)
    return model, "likelihood"


def saved_and_loaded(model, folder):
    model.save(folder / "m.keras")
    return keras.models.load_model(folder / "m.keras")


def saved_and_compiled(model, folder):
    model.save(folder / "m.keras")
    return compiled(keras.models.load_model(folder / "m.keras", compile=False))


def copied(model, folder):
    return copy.deepcopy(model)


def moved(model, part):
    before = getattr(model, part).get_weights()
    model.fit(X, verbose=0)
    return max(float(np.abs(a - b).max()) for a, b in zip(before, getattr(model, part).get_weights(), strict=True))


@pytest.mark.parametrize(
    "make, again",
    [(of_own_encoder, saved_and_compiled), (of_own_encoder, copied), (of_residual_codes, saved_and_loaded)],
)
def test_what_is_frozen_is_so_after_loading(make, again, tmp_path):
    model, part = make()
    getattr(model, part).trainable = False
    model = again(compiled(model), tmp_path)
    assert moved(model, part) == 0.0
    getattr(model, part).trainable = True
    assert moved(compiled(model), part) > 0.0


@pytest.mark.parametrize(
    "make, frozen, again",
    [
        (of_own_encoder, lambda model: model.encoder.dense, saved_and_loaded),
        (of_own_encoder, lambda model: model.encoder.dense, saved_and_compiled),
        (of_own_encoder, lambda model: model.encoder.norm, copied),
        (of_residual_codes, lambda model: model.quantizer.quantizers[1], saved_and_loaded),
    ],
)
def test_a_layer_that_is_frozen_within_a_part_is_so_after_loading(make, frozen, again, tmp_path):
    model, part = make()
    frozen(model).trainable = False
    model = again(compiled(model), tmp_path)
    before = frozen(model).get_weights()
    assert moved(model, part) > 0.0
    assert all(np.array_equal(a, b) for a, b in zip(before, frozen(model).get_weights(), strict=True))


def test_what_is_frozen_after_a_fit_that_failed_stays():
    model, part = of_optimal_scale()

    def one():
        yield X[:16]
        raise RuntimeError("no more")

    batches = tf.data.Dataset.from_generator(one, output_signature=tf.TensorSpec((None, 4, 4, 1)))
    model.compile(keras.optimizers.SGD(0.1), steps_per_execution=2)
    with pytest.raises(tf.errors.OpError):
        model.fit(batches, verbose=0)
    model.encoder.trainable = False
    assert moved(model, "encoder") == 0.0


def test_averages_of_weights_go_on_beside_layers_without_weights():
    model, _ = of_own_encoder()
    model.compile(keras.optimizers.SGD(0.1, use_ema=True))
    model.fit(X, verbose=0)
    model.encoder.flat.trainable = False
    model.fit(X, verbose=0)
    model.encoder.dense.trainable = False
    with pytest.raises(ValueError, match="compiled again after parts were frozen"):
        model.fit(X, verbose=0)


@pytest.mark.parametrize("make", [of_own_encoder, of_one_codebook, of_residual_codes, of_optimal_scale])
def test_what_is_frozen_between_two_fits_stays(make):
    model, part = make()
    assert moved(model, part) > 0.0
    getattr(model, part).trainable = False
    assert moved(model, part) == 0.0


def test_a_layer_that_is_trained_in_a_frozen_network_is_so_after_loading(tmp_path):
    keras.utils.set_random_seed(0)
    encoder = zoo.networks.mlp_encoder((4, 4, 1), 2, (3,))
    model = compiled(zoo.VAE(encoder, zoo.networks.mlp_decoder((4, 4, 1), 2, ()), seed=0))
    encoder.trainable = False
    encoder.layers[-1].trainable = True
    trained = len(compiled(model).trainable_variables)
    assert len(saved_and_loaded(model, tmp_path).trainable_variables) == trained == 4


def traces(model, call):
    """How many graphs of steps a call makes."""
    made, original = [], type(model)._objective

    def counted(self, *args, **kwargs):
        made.append(1)
        return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "_objective", counted)
        call()
    return len(made)


@pytest.mark.parametrize("make", [of_own_encoder, of_optimal_scale])
def test_steps_are_traced_once(make):
    model, _ = make()
    assert traces(model, lambda: model.fit(X, verbose=0)) == 0
    model.evaluate(X, verbose=0)
    assert traces(model, lambda: (model.evaluate(X, verbose=0), model.fit(X, verbose=0))) == 0
    model.predict(X, verbose=0)
    function = model.predict_function
    model.predict(X, verbose=0)
    assert model.predict_function is function
    assert traces(compiled(model), lambda: model.fit(X, verbose=0)) > 0
