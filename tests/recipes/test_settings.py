"""What every recipe sets: its docstring promises a figure, which holds for these settings alone."""

import dataclasses
import importlib.util
import math
import operator
import pathlib
import tempfile

import pytest

import zoo
from zoo import training
from zoo.training.flags import parse

FOLDER = pathlib.Path(__file__).parents[2] / "recipes"
SCRIPTS = sorted(FOLDER.glob("*.py"))
# Of data that are no images: see also the tests of their names.
EXAMPLES = {
    "moving_mnist_cvae": {
        "epochs": 20, "sample_epochs": 7, "batch_size": 32, "learning_rate": 2e-3, "warmup_steps": 50,
    },
    "moving_mnist_vqvae": {"epochs": 10, "sample_epochs": 3, "batch_size": 32, "warmup_steps": 50},
    "series_vae": {"batch_size": 64, "minimum_steps": 1000},
    "spoken_digit_vqvae": {"sample_epochs": 10, "batch_size": 32},
    "table_vae": {"batch_size": 64, "learning_rate": 2e-3, "epoch_steps": 50},
    "text_vae": {
        "sample_epochs": 24, "batch_size": 64, "learning_rate": 2e-3, "warmup_steps": 100, "gradient_clip": 1.0,
    },
}  # fmt: skip
PRIORS_OF_EXAMPLES = {
    "moving_mnist_vqvae": {"epochs": 20, "sample_epochs": 3, "batch_size": 32, "warmup_steps": 50},
    "spoken_digit_vqvae": {"epochs": 10, "sample_epochs": 3, "batch_size": 32, "learning_rate": 2e-3},
}
SCRIPTS = [script for script in SCRIPTS if script.stem not in ("classifier", *EXAMPLES)]
# Of a `Regime`, unless a recipe, or its prior, says otherwise.
USUAL = {
    "epochs": 30,
    "sample_epochs": 30,
    "batch_size": 128,
    "learning_rate": 1e-3,
    "minimum_steps": 0,
    "epoch_steps": 0,
    "warmup_steps": 0,
    "gradient_clip": None,
    "skip_threshold": None,
    "ema": None,
    "jit_compile": False,
    "steps_per_execution": 10,
}
RECIPES = {
    "celeba_vae": {"epochs": 20, "batch_size": 64},
    "cifar10_hvae": {
        "epochs": 6, "sample_epochs": 15, "batch_size": 16, "warmup_steps": 1000, "gradient_clip": 3e4, "ema": 0.999,
        "skip_threshold": math.inf,
    },
    "cifar10_vae": {"epochs": 18, "sample_epochs": 20, "batch_size": 128, "warmup_steps": 500},
    "cifar10_vqvae": {"epochs": 25, "batch_size": 32, "learning_rate": 2e-3, "warmup_steps": 500},
    "dsprites_beta_vae": {"epochs": 20, "batch_size": 64, "learning_rate": 5e-4},
    "fashion_mnist_beta_vae": {"epochs": 20, "sample_epochs": 25, "batch_size": 64},
    "image_folder_vqvae": {"epochs": 20, "batch_size": 16, "minimum_steps": 2000},
    "mnist_cvae": {"epochs": 20, "sample_epochs": 25, "batch_size": 64},
    "mnist_hvae": {
        "epochs": 12, "sample_epochs": 15, "batch_size": 32, "warmup_steps": 500, "gradient_clip": 200.0, "ema": 0.999,
        "skip_threshold": 1e4,
    },
    "mnist_vae": {
        "epochs": 200, "sample_epochs": 25, "batch_size": 128, "warmup_steps": 500, "ema": 0.999,
        "steps_per_execution": 50,
    },
    "mnist_vaeac": {
        "epochs": 10, "sample_epochs": 15, "batch_size": 64, "learning_rate": 2e-3, "warmup_steps": 50,
    },
    "mnist_vqvae": {"epochs": 4, "sample_epochs": 20, "batch_size": 64},
    "sprites_factor_vae": {"epochs": 20, "batch_size": 64, "jit_compile": True, "steps_per_execution": 50},
    "svhn_vae": {"batch_size": 64},
}  # fmt: skip
PRIORS = {
    "cifar10_vqvae": {
        "epochs": 8, "sample_epochs": 10, "batch_size": 64, "learning_rate": 2e-3, "warmup_steps": 500,
    },
    "image_folder_vqvae": {"epochs": 20, "minimum_steps": 1000, "batch_size": 16, "warmup_steps": 100},
    "mnist_vqvae": {"epochs": 4, "sample_epochs": 15, "batch_size": 64, "learning_rate": 2e-3, "warmup_steps": 200},
}  # fmt: skip
# Dataset, shape of the images, and how they are binarised.
DATA = {
    "celeba_vae": ("celeb_a", (64, 64, 3), None),
    "cifar10_hvae": ("cifar10", (32, 32, 3), None),
    "cifar10_vae": ("cifar10", (32, 32, 3), None),
    "cifar10_vqvae": ("cifar10", (32, 32, 3), None),
    "dsprites_beta_vae": ("dsprites", (64, 64, 1), None),
    "fashion_mnist_beta_vae": ("fashion_mnist", (28, 28, 1), None),
    "image_folder_vqvae": (None, (64, 64, 3), None),
    "mnist_cvae": ("mnist", (28, 28, 1), "dynamic"),
    "mnist_hvae": ("mnist", (28, 28, 1), "dynamic"),
    "mnist_vae": ("mnist", (28, 28, 1), "dynamic"),
    "mnist_vaeac": ("mnist", (28, 28, 1), None),
    "mnist_vqvae": ("mnist", (28, 28, 1), None),
    "sprites_factor_vae": (None, (32, 32, 1), None),
    "svhn_vae": ("svhn_cropped", (32, 32, 3), None),
}
CODEBOOK = {
    "quantizer.codebook": "ema",
    "quantizer.decay": 0.99,
    "quantizer.gradient": "straight_through",
    "quantizer.initialization": "data",
    "quantizer.revival": 0.03,
}
COLOURS = {"likelihood.components": 5, "likelihood.channels": 3, "free_bits": 0.0}
# Attributes of the model that the flags' defaults make, how many weights it trains (which the widths of its networks
# decide), and the class of its likelihood.
MODELS = {
    "celeba_vae": ("VAE", 6681666, "DiscretizedLogisticMixture", {"latent_dim": 128, **COLOURS}),
    "cifar10_hvae": (
        "HierarchicalVAE", 3260242, "DiscretizedLogisticMixture",
        {
            **COLOURS, "max_log_var": 6.0, "kl_balancing": False,
            "decoder.scales": (32, 8, 4, 2), "decoder.layers": (1, 1, 2, 3), "decoder.latent_dim": (32, 16, 16, 8),
            "decoder.width": (128, 128, 128, 64), "decoder.hidden": (64, 64, 64, 64), "decoder.activation": "silu",
            "decoder.output_blocks": 1,
        },
    ),
    "cifar10_vae": ("VAE", 1496515, "Gaussian", {"latent_dim": 128, "likelihood.scale": "optimal"}),
    "cifar10_vqvae": (
        "VQVAE", 689291, "Gaussian",
        {
            **CODEBOOK, "quantizer.num_codes": 1024, "quantizer.code_dim": 8, "commitment_cost": 0.19,
            "likelihood.scale": 0.178,
        },
    ),
    "dsprites_beta_vae": (
        "BetaVAE", 386613, "Bernoulli", {"latent_dim": 10, "capacity": 25.0, "gamma": 1000.0, "free_bits": 0.0}
    ),
    "fashion_mnist_beta_vae": (
        "BetaVAE", 1761202, "DiscretizedLogistic",
        {"latent_dim": 16, "beta": 4.0, "capacity": None, "free_bits": 0.0},
    ),
    "image_folder_vqvae": (
        "VQVAE", 212419, "Gaussian",
        {
            **CODEBOOK, "quantizer.num_codes": 512, "quantizer.code_dim": 64, "commitment_cost": 0.19,
            "likelihood.scale": 0.178,
        },
    ),
    "mnist_cvae": ("CVAE", 389297, "Bernoulli", {"latent_dim": 16, "num_classes": 10, "free_bits": 0.0}),
    "mnist_hvae": (
        "HierarchicalVAE", 3086473, "Bernoulli",
        {
            "max_log_var": 14.0, "kl_balancing": False, "free_bits": 0.0,
            "decoder.scales": (28, 4, 2), "decoder.layers": (2, 4, 2), "decoder.latent_dim": (32, 16, 8),
            "decoder.width": (128, 96, 48), "decoder.hidden": (128, 64, 48), "decoder.activation": "silu",
            "decoder.output_blocks": 1, "decoder.output_width": 24,
        },
    ),
    "mnist_vae": ("IWAE", 1116864, "Bernoulli", {"latent_dim": 40, "num_samples": 8, "gradient": "dreg"}),
    "mnist_vaeac": (
        "VAEAC", 660121, "Bernoulli",
        {
            "latent_dim": 32, "alpha": 1.0, "free_bits": 0.0,
            "masks.kinds": {"halves": 3.0, "pixels": 2.0, "blocks": 2.0, "all": 1.0},
        },
    ),
    "mnist_vqvae": (
        "VQVAE", 79057, "Gaussian",
        {
            **CODEBOOK, "quantizer.codebook": "gradient", "quantizer.initialization": "uniform",
            "quantizer.revival": 0.0, "quantizer.num_codes": 128, "quantizer.code_dim": 16, "commitment_cost": 0.25,
            "likelihood.scale": 0.218,
        },
    ),
    "sprites_factor_vae": (
        "BetaTCVAE", 665108, "Bernoulli", {"latent_dim": 10, "beta": 6.0, "alpha": 1.0, "gamma": 1.0}
    ),
    "svhn_vae": ("VAE", 1681218, "DiscretizedLogisticMixture", {"latent_dim": 64, **COLOURS}),
}  # fmt: skip
SHARP = {
    "cifar10_vqvae": {"epochs": 1, "sample_epochs": 5, "learning_rate": 3e-4},
    "image_folder_vqvae": {"epochs": 5, "minimum_steps": 1000, "learning_rate": 3e-4},
}
SHARP_WEIGHTS = {
    "perceptual": "cifar10_vgg", "perceptual_weight": 0.1, "adversarial_weight": 0.01, "critic_learning_rate": 3e-4,
    "critic_steps": 500, "filters": 32,
}  # fmt: skip
# Width, depth, heads and dropout of the transformer; width, depth and dropout of the PixelCNN.
PRIOR_MODELS = {
    "cifar10_vqvae": ((128, 4, 4, 0.1), (64, 5, 0.1)),
    "image_folder_vqvae": ((96, 3, 4, 0.2), (36, 8, 0.2)),
    "mnist_vqvae": ((128, 3, 4, 0.1), (56, 5, 0.1)),
}
# The share of a run's steps over which the KL's weight, or the capacity, rises.
WARMUPS = {
    "fashion_mnist_beta_vae": (zoo.callbacks.KLWarmup, 10),
    "dsprites_beta_vae": (zoo.callbacks.CapacityWarmup, 2),
}


def load(script):
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main.recipe


LOADED = {script.stem: load(script) for script in SCRIPTS}


def defaults(name):
    """All flags that a recipe has where none is given."""
    images = ["--images", "DIR"] if name == "image_folder_vqvae" else []
    with tempfile.TemporaryDirectory() as output:
        return parse(LOADED[name], [*images, "--output", output])


def test_every_recipe_is_in_the_tables():
    assert set(LOADED) == set(RECIPES) == set(DATA) == set(MODELS)
    assert {name for name, recipe in LOADED.items() if recipe.prior} == set(PRIORS) == set(PRIOR_MODELS)
    assert {name for name, recipe in LOADED.items() if recipe.sharp} == set(SHARP)
    assert {field.name for field in dataclasses.fields(training.recipe.Regime)} >= set(USUAL)


@pytest.mark.parametrize("name", RECIPES)
def test_regime_and_data(name):
    recipe = LOADED[name]
    assert {key: getattr(recipe, key) for key in USUAL} == USUAL | RECIPES[name]
    flags = defaults(name)
    assert (recipe.dataset, recipe.shape(flags.own), recipe.binarization) == DATA[name]
    assert (flags.batch_size, flags.learning_rate) == (recipe.batch_size, recipe.learning_rate)
    assert flags.seed == 0 and flags.mixed_precision == "none" and flags.steps_per_epoch is None


@pytest.mark.parametrize("name", EXAMPLES)
def test_regime_of_data_that_are_no_images(name):
    recipe = load(FOLDER / f"{name}.py")
    assert {key: getattr(recipe, key) for key in USUAL} == USUAL | EXAMPLES[name]
    assert (recipe.prior is not None) == (name in PRIORS_OF_EXAMPLES)
    if recipe.prior:
        assert {key: getattr(recipe.prior, key) for key in USUAL} == USUAL | PRIORS_OF_EXAMPLES[name]


@pytest.mark.parametrize("name", PRIORS)
def test_regime_of_the_prior(name):
    prior = LOADED[name].prior
    assert {key: getattr(prior, key) for key in USUAL} == USUAL | PRIORS[name]
    assert prior.kinds == ("transformer", "pixelcnn")


@pytest.mark.parametrize("name", SHARP)
def test_regime_of_the_sharp_decoder(name):
    sharp, flags = LOADED[name].sharp, defaults(name).decoder
    assert {key: getattr(sharp, key) for key in USUAL} == USUAL | SHARP[name]
    assert {key: getattr(sharp, key) for key in SHARP_WEIGHTS} == SHARP_WEIGHTS
    assert (flags.kind, flags.learning_rate, flags.critic_learning_rate) == ("plain", 3e-4, 3e-4)
    assert (flags.perceptual_weight, flags.adversarial_weight) == (0.1, 0.01)


@pytest.mark.parametrize("name", MODELS)
def test_model(name):
    recipe, (kind, weights, likelihood, attributes) = LOADED[name], MODELS[name]
    own = defaults(name).own
    model = recipe.build(own, recipe.shape(own), 0)
    assert (type(model).__name__, type(model.likelihood).__name__) == (kind, likelihood)
    assert {path: operator.attrgetter(path)(model) for path in attributes} == attributes
    assert sum(math.prod(weight.shape) for weight in model.trainable_weights) == weights


@pytest.mark.parametrize("name", PRIOR_MODELS)
def test_prior(name):
    build = LOADED[name].prior.build
    transformer, pixelcnn = (build(kind, 5, (2, 3), 0, sample=False) for kind in ("transformer", "pixelcnn"))
    received = (transformer.width, transformer.depth, transformer.heads, transformer.dropout)
    assert (received, (pixelcnn.width, pixelcnn.depth, pixelcnn.dropout)) == PRIOR_MODELS[name]


@pytest.mark.parametrize("name", RECIPES)
def test_warmup(name):
    found = list(LOADED[name].callbacks(defaults(name).own, 1000))
    if name not in WARMUPS:
        assert found == []
        return
    (callback,), (kind, share) = found, WARMUPS[name]
    assert type(callback) is kind and (callback.steps, callback.start) == (1000 // share, 0.0)
    (callback,) = LOADED[name].callbacks(defaults(name).own, 1)  # never none at all
    assert callback.steps == 1


@pytest.mark.parametrize(
    ("kind", "prior"),
    [("standard_normal", "StandardNormal"), ("mixture", "MixtureOfGaussians"), ("vamp", "VampPrior"), ("flow", "Flow")],
)
def test_mnist_vae_has_the_prior_that_is_asked_for(kind, prior, tmp_path):
    recipe = LOADED["mnist_vae"]
    flags = parse(recipe, ["--prior", kind, "--latent-dim", "3", "--output", str(tmp_path)])
    model = recipe.build(flags.own, recipe.shape(flags.own), flags.seed)
    assert type(model.prior).__name__ == prior and model.prior.latent_dim == 3


@pytest.mark.parametrize(("samples", "model"), [("1", "VAE"), ("2", "IWAE")])
def test_mnist_vae_trains_on_the_elbo_or_on_the_importance_weighted_bound(samples, model, tmp_path):
    recipe = LOADED["mnist_vae"]
    flags = parse(recipe, ["--importance-samples", samples, "--hidden", "8", "--output", str(tmp_path)])
    built = recipe.build(flags.own, recipe.shape(flags.own), flags.seed)
    assert type(built).__name__ == model and getattr(built, "num_samples", 1) == int(samples)
