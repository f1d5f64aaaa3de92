import gc
import weakref

import keras
import numpy as np
import pytest

import zoo
from zoo import networks
from zoo.runtime import checks, configs
from zoo.runtime.settings import Setting, is_argument

SHAPE = (8, 8, 1)
X = np.random.default_rng(0).random((16, *SHAPE), np.float32)


def networks_of(latent_dim=2):
    return networks.mlp_encoder(SHAPE, latent_dim, (8,)), networks.mlp_decoder(SHAPE, latent_dim, (8,))


class Weighted:
    beta = Setting(checks.number, 0.0)
    size = Setting(checks.positive_int, fixed=True)

    def __init__(self, beta, size):
        self.beta = beta
        self.size = size


def test_a_class_whose_arguments_were_looked_up_is_let_go():
    class Mine(Weighted):
        def __init__(self, of_mine):
            super().__init__(1, 2)
            self.of_mine = of_mine

    assert is_argument("of_mine", Mine) and is_argument("beta", Mine) and not is_argument("other", Mine)
    kept = weakref.ref(Mine)
    del Mine
    gc.collect()
    assert kept() is None


def test_a_setting_is_checked_whenever_it_is_set():
    with pytest.raises(ValueError, match="Expected `beta` to be a finite number >= 0. Received: beta=-1"):
        Weighted(-1, 2)
    weighted = Weighted(1, 2)
    with pytest.raises(ValueError, match="Expected `beta` to be a finite number >= 0. Received: beta=nan"):
        weighted.beta = np.nan
    assert weighted.beta == 1.0
    weighted.beta = 3
    assert weighted.beta == 3.0 and Weighted(5, 2).beta == 5.0


def test_a_fixed_setting_stays():
    weighted = Weighted(1, 2)
    weighted.size = 2
    with pytest.raises(ValueError, match="Expected `size` to be 2, with which this Weighted was made; give another"):
        weighted.size = 3
    assert weighted.size == 2


def test_a_setting_that_is_not_set_yet_is_no_attribute():
    assert not hasattr(Weighted.__new__(Weighted), "beta")


@pytest.mark.parametrize(
    "make, name, value, message",
    [
        (zoo.BetaVAE, "beta", -5, "a finite number >= 0. Received: beta=-5"),
        (zoo.BetaVAE, "free_bits", "0.1", "a finite number >= 0. Received: free_bits='0.1'"),
        (zoo.BetaVAE, "capacity", 5.0, "None, with which this BetaVAE was made; give another one to the con"),
        (zoo.BetaVAE, "seed", 3, "None, with which this BetaVAE was made"),
        (zoo.BetaVAE, "likelihood", "gauss", "a zoo.likelihoods.Likelihood or one of"),
        (zoo.FactorVAE, "gamma", float("inf"), "a finite number >= 0. Received: gamma=inf"),
        (zoo.InfoVAE, "alpha", 1.5, "a finite number <= 1. Received: alpha=1.5"),
        (zoo.IWAE, "num_samples", 0, "an integer >= 1. Received: num_samples=0"),
        (zoo.IWAE, "gradient", "drag", "one of 'standard', 'dreg'"),
        (zoo.IWAE, "free_bits", 1.0, "0, as an IWAE has no term of its own for the KL. Received: free_bits=1.0"),
        (zoo.VAE, "free_bits", np.array([0.1, 0.2]), "a finite number >= 0"),
    ],
)
def test_a_model_refuses_settings_later_as_its_constructor_does(make, name, value, message):
    model = make(*networks_of())
    before = getattr(model, name)
    with pytest.raises(ValueError, match=f"Expected `{name}` to be {message}"):
        setattr(model, name, value)
    assert getattr(model, name) is before


@pytest.mark.parametrize("part", ["encoder", pytest.param("decoder", marks=pytest.mark.slow)])
def test_a_model_with_an_exchanged_network_goes_on_after_loading_as_if_it_had_never_stopped(part, tmp_path):
    keras.utils.set_random_seed(0)
    model = zoo.VAE(*networks_of(), seed=0)
    x = np.random.default_rng(0).random((16, *model.image_shape), np.float32)
    model.compile("adam")
    model.fit(x, verbose=0)
    setattr(model, part, getattr(zoo.VAE(*networks_of()), part))
    model.compile("adam")
    model.fit(x, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for each in (model, loaded):
        each.fit(x, verbose=0, shuffle=False)
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_settings_that_do_not_go_together_leave_the_former_ones():
    model = zoo.InfoVAE(*networks_of(), alpha=0.5, lambda_=2.0)
    with pytest.raises(ValueError, match="Expected `lambda_` to be >= 3, as alpha . lambda_ >= 1. Received: lambda_=2"):
        model.alpha = -2.0
    assert (model.alpha, model.lambda_) == (0.5, 2.0)
    automatic = zoo.VAE(*networks_of(), likelihood="gaussian", kl_weight="auto")
    with pytest.raises(ValueError, match="Expected `likelihood` to be a Gaussian of scale 'optimal' or 'learned'"):
        automatic.likelihood = zoo.likelihoods.Gaussian(0.1)
    assert automatic.likelihood.scale == "optimal"


@pytest.mark.parametrize(
    "part, name, value",
    [
        (lambda: zoo.quantizers.VectorQuantizer(16, 4), "decay", 0.9),
        (lambda: zoo.quantizers.FiniteScalarQuantizer((3, 3)), "levels", (5, 5)),
        (lambda: zoo.likelihoods.Gaussian(0.1), "scale", 0.3),
        (lambda: zoo.likelihoods.Gaussian(0.1), "scale", np.array([0.3, 0.4])),
        (lambda: zoo.likelihoods.Gaussian(0.1), "range", None),
        (lambda: zoo.layers.Dropout(0.1), "rate", 0.5),
        (lambda: zoo.layers.Sampling(), "seed", 1),
        (lambda: zoo.priors.MixtureOfGaussians(2, 4), "components", 8),
        (lambda: zoo.priors.PixelCNN(8, (2, 2), width=8, depth=1), "dropout", 0.5),
        (lambda: networks.TextDecoder(4, 8, 2, width=8, depth=1), "word_dropout", 0.5),
    ],
)
def test_the_settings_of_a_part_stay_as_its_weights_and_compiled_steps_have_them(part, name, value):
    part = part()
    before = getattr(part, name)
    setattr(part, name, before)
    kind = type(part).__name__
    with pytest.raises(ValueError, match=f"Expected `{name}` to be .* this {kind} was made; give another one"):
        setattr(part, name, value)
    assert getattr(part, name) == before


@pytest.mark.parametrize("weight", [-0.5, np.nan])
def test_no_training_under_a_weight_of_the_kl_below_0(weight):
    model = zoo.VAE(*networks_of())
    model.compile("sgd")
    model.kl_weight.assign(weight)
    with pytest.raises(ValueError, match="Expected `kl_weight` to be a finite number >= 0"):
        model.fit(X, verbose=0)


def test_a_changed_setting_is_saved(tmp_path):
    model = zoo.BetaTCVAE(*networks_of(), dataset_size=10)
    model.beta, model.dataset_size = 2, 20
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.beta, loaded.dataset_size) == (2.0, 20)


@keras.saving.register_keras_serializable("test_set_later")
class Forgetful(zoo.priors.MixtureOfGaussians):
    def __init__(self, latent_dim, sharpness=1.0, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.sharpness = sharpness


@keras.saving.register_keras_serializable("test_set_later")
class Scaled(keras.layers.Layer):
    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, x):
        return self.scale * x

    def get_config(self):
        return super().get_config() | ({"scale": self.scale} if self.scale < 3.0 else {})


def test_saving_warns_of_arguments_that_a_file_does_not_hold(tmp_path):
    encoder, decoder = networks_of()
    model = zoo.VAE(encoder, keras.Sequential([decoder, Scaled(2.0)]), prior=Forgetful(2, sharpness=2.0))
    with pytest.warns(UserWarning, match="sharpness of Forgetful will be lost") as caught:
        model.save(tmp_path / "model.keras")
    assert sum("will be lost" in str(each.message) for each in caught) == 1
    model = zoo.VAE(encoder, keras.Sequential([decoder, Scaled(3.0)]))
    with pytest.warns(UserWarning, match="scale of Scaled will be lost.*Add scale to the dict of get_config"):
        zoo.save_preset(model, tmp_path / "preset", "A test")


class Lazy(zoo.likelihoods.Bernoulli):
    """A likelihood of the user's own that finds out a setting when it is used."""

    def __init__(self, dim=None, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim

    def log_prob(self, x, params, training=False):
        if self.dim is None:
            self.dim = x.shape[-1]
        return super().log_prob(x, params, training)


def test_a_setting_of_the_users_own_may_be_found_out_later():
    model = zoo.VAE(*networks_of(), likelihood=Lazy())
    model.log_prob(X)
    assert model.likelihood.dim == 1
    with pytest.raises(ValueError, match="Expected `dim` to be 1, with which this Lazy was made"):
        model.likelihood.dim = 3


def test_a_refused_part_is_no_part_of_the_model():
    encoder, decoder = networks_of()
    model = zoo.VAE(encoder, decoder, prior=zoo.priors.Flow(2, couplings=1, hidden=4))
    number = len(model.weights)
    with pytest.raises(ValueError, match="Expected `encoder` to be one to 2 latents"):
        model.encoder = networks_of(3)[0]
    with pytest.raises(ValueError, match="Expected `decoder` to be a network of one input"):
        inputs = keras.Input((2,)), keras.Input((2,))
        model.decoder = keras.Model(inputs, keras.ops.add(*inputs))
    assert model.encoder is encoder and len(model.weights) == number
    model.likelihood = "gaussian"
    assert any(each is model.likelihood for each in model.layers)


def test_a_part_that_is_exchanged_is_checked_as_the_constructor_does():
    model = zoo.FactorVAE(*networks_of())
    with pytest.raises(ValueError, match="Expected `critic` to be a keras layer or model"):
        model.critic = "mlp"
    with pytest.raises(ValueError, match="Expected `encoder` to be one to 2 latents, as the critic takes"):
        model.encoder = networks_of(3)[0]
    z = keras.Input((2,))
    with pytest.warns(UserWarning, match="The decoder ends in sigmoid"):
        model.decoder = keras.Model(z, keras.layers.Reshape(SHAPE)(keras.layers.Dense(64, activation="sigmoid")(z)))


def test_a_top_down_decoder_stays():
    encoder = networks.bottom_up_encoder(SHAPE, (4, 2), 8)
    model = zoo.HierarchicalVAE(encoder, networks.TopDown(SHAPE, (4, 2), 1, 2, 8, 8))
    with pytest.raises(ValueError, match="Expected `decoder` to be a zoo.networks.TopDown"):
        model.decoder = networks_of()[1]
    with pytest.raises(ValueError, match="Expected `decoder` to be .*, with which this HierarchicalVAE was made"):
        model.decoder = networks.TopDown(SHAPE, (4, 2), 2, 2, 8, 8)


def test_the_same_value_lets_no_compiled_step_go():
    model = zoo.BetaVAE(*networks_of(), beta=2.0)
    model.compile("sgd")
    model.fit(X, verbose=0)
    step = model.train_function
    model.beta = 2
    assert model.train_function is step
    model.beta = 3.0
    assert model.train_function is not step


@keras.saving.register_keras_serializable("test_set_later")
class OwnEncoder(keras.Model):
    """A network that makes layers itself, whose configuration nobody asks for."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.flatten, self.inner = keras.layers.Flatten(), Inner(units)
        self.units = units

    def call(self, x):
        return self.inner(self.flatten(x))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Inner(keras.layers.Dense):
    def __init__(self, width, **kwargs):
        super().__init__(width, **kwargs)

    def get_config(self):
        raise NotImplementedError


def test_layers_that_a_class_makes_itself_need_no_configuration(tmp_path, recwarn):
    model = zoo.VAE(OwnEncoder(4), networks_of()[1])
    before = model.reconstruct(X)
    model.save(tmp_path / "model.keras")
    assert not [each for each in recwarn if "will be lost" in str(each.message)]
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras").reconstruct(X), before)


def test_an_argument_that_is_given_by_name_alone_is_warned_about_too():
    class Keyword(keras.layers.Layer):
        def __init__(self, *, sharpness=1.0):
            super().__init__()

        def get_config(self):
            return {"name": self.name}

    with pytest.warns(UserWarning, match="sharpness of Keyword will be lost"):
        configs.warn_of_lost(Keyword(sharpness=2.0))
