"""The models that the conformance suite checks: one entry each, every argument at a non-default value."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import zoo
from zoo import data, networks
from zoo.runtime import replicas
from zoo.runtime.tokens import END, PADDING, SPECIAL

LATENTS = 3
SHAPE = (8, 8, 1)
TOKENS = 6  # of a sentence
LEVELS = (5, 2, *[4] * 14)  # of the ordinal columns of a row


@keras.saving.register_keras_serializable("tests")
class OwnEncoder(keras.Model):
    """A user's network: subclassed, with an argument of its own, built by its first call."""

    def __init__(self, units, outputs, **kwargs):
        super().__init__(**kwargs)
        self.units, self.outputs = units, outputs
        self.hidden = layers.Dense(units, "tanh")
        self.out = layers.Dense(outputs)

    def call(self, x):
        return self.out(self.hidden(layers.Flatten()(x)))

    def get_config(self):
        return {**super().get_config(), "units": self.units, "outputs": self.outputs}


@dataclasses.dataclass(frozen=True)
class Entry:
    """How to make a model, the attributes that must survive saving, and the shapes of its latents, or codes.

    `data` makes what the model takes of images float32 `[N,8,8,1]`, and `labels` of classes int32 `[N]` from 0 to 3;
    None is for models that take these themselves. `closed_kl` says whether the KL is computed, so that it is never
    below 0, and not estimated at one sample. `modes` is how many different samples there are at most at temperature 0.
    """

    make: Callable
    attributes: dict
    conditional: bool = False
    eight_bit: bool = False
    latents: tuple = ((LATENTS,),)  # a shape for each layer, top first
    codes_shape: tuple = (2, 2)
    data: Callable | None = None
    labels: Callable | None = None
    closed_kl: bool = True
    modes: int = 1


def rows(x):
    """Images as rows `[N,64]`, on the levels of the columns that have such."""
    grid = np.float32([0] * 24 + [levels - 1 for levels in LEVELS] + [0] * 24)
    x = tf.reshape(x, (-1, 64))
    return tf.where(grid > 0.0, tf.round(x * grid) / np.maximum(grid, 1.0), x)


def next_frames(x):
    """Clips of two frames `[N,2,8,8,1]`, in which an image moves to the right."""
    return tf.stack([x, tf.roll(x, 1, axis=2)], axis=1)


def past_frames(classes):
    """The frame before those of `next_frames`, about: `[N,1,8,8,1]`."""
    centre = 2.0 + 3.0 * places(classes)
    line = tf.range(8, dtype="float32")
    row, column = (tf.exp(-tf.square(line - centre[:, i : i + 1] + i) / 4.0) for i in range(2))
    return (row[:, :, None] * column[:, None, :])[:, None, ..., None]


def sentences(x):
    """The four quarters of an image as words by their mean grey levels, an end and padding: int32 `[N,6]`."""
    levels = tf.reduce_mean(tf.reshape(x, (-1, 2, 4, 2, 4)), axis=(2, 4))
    words = tf.reshape(tf.cast(tf.minimum(levels * 16.0, 5.0), "int32"), (-1, 4)) + SPECIAL
    return tf.pad(tf.pad(words, [(0, 0), (0, 1)], constant_values=END), [(0, 0), (0, 1)], constant_values=PADDING)


def places(classes):
    """Attributes `[N,2]`: the row and the column, 0 or 1, that a class stands for."""
    return tf.cast(tf.stack([classes // 2, classes % 2], axis=1), "float32")


def _mlp(inputs=SHAPE, conditions=0, params=1):
    return {
        "encoder": networks.mlp_encoder((*inputs[:2], inputs[2] + conditions), LATENTS, hidden=(16,)),
        "decoder": networks.mlp_decoder((*inputs[:2], params), LATENTS + conditions, hidden=(16,)),
    }


def _vae():
    return zoo.VAE(**_mlp(params=2), likelihood="discretized_logistic", free_bits=0.25, seed=3, name="other")


def _own_networks():
    decoder = networks.mlp_decoder(SHAPE, LATENTS, hidden=(16,))
    likelihood = zoo.likelihoods.Gaussian("learned", momentum=0.5)
    return zoo.VAE(OwnEncoder(9, 2 * LATENTS), decoder, likelihood, seed=3, kl_weight="auto")


def _beta_vae():
    return zoo.BetaVAE(**_mlp(), likelihood="bernoulli", beta=2.5, free_bits=0.125, seed=3)


def _capacity():
    return zoo.BetaVAE(**_mlp(), likelihood=zoo.likelihoods.Gaussian("optimal", 0.9), capacity=4.5, gamma=7.0, seed=3)


def _cvae():
    return zoo.CVAE(
        **_mlp(conditions=4), num_classes=4, likelihood=zoo.likelihoods.Gaussian(0.3), free_bits=0.5, seed=3
    )


def _latent_prior(kind, seed=5, **kwargs):
    return kind(LATENTS, seed=seed, **kwargs)


def _mixture():
    return zoo.VAE(**_mlp(), seed=3, prior=_latent_prior(zoo.priors.MixtureOfGaussians, components=4))


def _vamp():
    prior = _latent_prior(zoo.priors.VampPrior, data_shape=SHAPE, components=5)
    return zoo.VAE(**_mlp(), likelihood=zoo.likelihoods.Gaussian(0.3), seed=3, prior=prior)


def _flow():
    return zoo.VAE(**_mlp(), free_bits=0.125, seed=3, prior=_latent_prior(zoo.priors.Flow, couplings=3, hidden=7))


def _cvae_flow():
    prior = _latent_prior(zoo.priors.Flow, couplings=2, hidden=7, num_classes=4)
    return zoo.CVAE(**_mlp(conditions=4), num_classes=4, seed=3, prior=prior)


def _cvae_attributes():
    prior = _latent_prior(zoo.priors.MixtureOfGaussians, components=2, num_attributes=2)
    return zoo.CVAE(**_mlp(conditions=2), num_attributes=2, seed=3, prior=prior)


def _iwae():
    return zoo.IWAE(**_mlp(), likelihood=zoo.likelihoods.Gaussian(0.3), num_samples=3, gradient="dreg", seed=3)


def _beta_tc_vae():
    return zoo.BetaTCVAE(**_mlp(), dataset_size=32, beta=3.0, alpha=0.5, gamma=2.0, seed=3)


def _info_vae():
    return zoo.InfoVAE(**_mlp(), alpha=0.25, lambda_=20.0, free_bits=0.125, seed=3)


def _factor_vae():
    critic = networks.mlp_critic(LATENTS, hidden=(12,))
    return zoo.FactorVAE(**_mlp(), gamma=2.0, critic=critic, free_bits=0.125, seed=3)


def _vaeac():
    given = (*SHAPE[:2], 2)
    encoder, prior = (networks.mlp_encoder(given, LATENTS, hidden=(16,)) for _ in range(2))
    decoder = networks.unet_decoder(SHAPE, LATENTS, filters=(4,), blocks=0, bottom_blocks=0, features=3)
    prior = zoo.priors.ConditionalGaussian(prior)
    masks = zoo.layers.RandomMasks({"halves": 1.0, "all": 1.0}, seed=5)
    return zoo.VAEAC(encoder, decoder, zoo.likelihoods.Gaussian(0.3), prior, 0.75, masks, free_bits=0.125, seed=3)


def _quantizer(**kwargs):
    return zoo.quantizers.VectorQuantizer(12, 6, decay=0.9, gradient="rotation", revival=0.1, seed=3, **kwargs)


def _residual():
    return zoo.quantizers.ResidualQuantizer(
        12, 6, depth=3, codebook="gradient", decay=0.9, gradient="rotation", initialization="uniform", revival=0.1,
        seed=3,
    )  # fmt: skip


def _vq_vae(quantizer, likelihood, prior=None):
    return zoo.VQVAE(
        networks.residual_encoder(SHAPE, quantizer.code_dim, 8, blocks=1),
        networks.residual_decoder((2, 2, quantizer.code_dim), likelihood.params_size(1), 8, blocks=1),
        quantizer,
        likelihood,
        commitment_cost=0.75,
        prior=prior,
    )


def _prior():
    return zoo.priors.Transformer(12, (2, 2), width=12, depth=1, heads=3, dropout=0.25, seed=3)


def _hierarchical(likelihood, scales, widths, layers, latent_dim, **kwargs):
    hidden = tuple(width - 1 for width in widths)
    shape = (*SHAPE[:2], likelihood.params_size(1))
    return zoo.HierarchicalVAE(
        networks.bottom_up_encoder(SHAPE, scales, widths, hidden, blocks=1, activation="silu"),
        zoo.networks.TopDown(shape, scales, layers, latent_dim, widths, hidden, activation="silu"),
        likelihood,
        seed=3,
        **kwargs,
    )


def _two_scales():
    """The widest apart that these images have. tests/models/test_hierarchical_vae.py has three, and four layers."""
    return _hierarchical(zoo.likelihoods.Bernoulli(), (8, 2), (6, 5), 1, (3, 1), free_bits=0.25, kl_balancing=True)


def _one_scale():
    mixture = zoo.likelihoods.DiscretizedLogisticMixture(components=2, channels=1)
    return _hierarchical(mixture, (4,), (6,), (1,), (2,), free_bits=0.125, name="other")


def _rows():
    parts = [zoo.likelihoods.Gaussian(0.3), zoo.likelihoods.Ordinal(LEVELS), zoo.likelihoods.Categorical()]
    likelihood = zoo.likelihoods.Mixed(parts, channels=(24, 16, 24), columns={"kept": [1, 2]})
    encoder = networks.mlp_encoder((64,), LATENTS, hidden=(16,))
    decoder = networks.mlp_decoder((likelihood.params_size(64),), LATENTS, hidden=(16,))
    return zoo.VAE(encoder, decoder, likelihood, free_bits=0.125, seed=3)


def _future_vae():
    past = networks.clip_features((1, *SHAPE), 2, 4, downsamples=2, blocks=0)
    encoder = networks.mlp_encoder((3, *SHAPE), LATENTS, hidden=(16,))
    decoder = networks.clip_decoder((2, 2, 2 + LATENTS), (2, *SHAPE), 4, blocks=0)
    prior = zoo.priors.ConditionalGaussian(networks.mlp_encoder((1, *SHAPE), LATENTS, hidden=(16,)))
    return zoo.FutureVAE(encoder, decoder, past, zoo.likelihoods.Gaussian(0.3), prior, free_bits=0.125, seed=3)


def _text_vae():
    size, how = (TOKENS, SPECIAL + 6, LATENTS), {"width": 12, "depth": 1, "heads": 3, "seed": 3}
    encoder, decoder = networks.TextEncoder(*size, dropout=0.125, **how), networks.TextDecoder(*size, 0.25, **how)
    return zoo.TextVAE(encoder, decoder, free_bits=0.125, seed=3, vocabulary={"kind": "own"})


ENTRIES = {
    "vae": Entry(_vae, {"free_bits": 0.25, "seed": 3, "name": "other"}, eight_bit=True),
    "own_networks": Entry(
        _own_networks,
        {"encoder.units": 9, "likelihood.scale": "learned", "likelihood.momentum": 0.5, "kl_weight_rule": "auto"},
    ),
    "beta_vae": Entry(_beta_vae, {"beta": 2.5, "free_bits": 0.125, "seed": 3}),
    "capacity": Entry(_capacity, {"capacity": 4.5, "gamma": 7.0, "likelihood.scale": "optimal"}),
    "cvae": Entry(_cvae, {"num_classes": 4, "likelihood.scale": 0.3, "free_bits": 0.5}, conditional=True),
    "vae_mixture": Entry(_mixture, {"prior.components": 4, "prior.seed": 5}, closed_kl=False, modes=4),
    "vae_vamp": Entry(
        _vamp, {"prior.data_shape": SHAPE, "prior.components": 5, "prior.seed": 5}, closed_kl=False, modes=5
    ),
    "vae_flow": Entry(_flow, {"prior.couplings": 3, "prior.hidden": 7, "prior.seed": 5}, closed_kl=False),
    "cvae_flow": Entry(
        _cvae_flow, {"num_classes": 4, "prior.num_classes": 4, "prior.couplings": 2}, conditional=True, closed_kl=False
    ),
    "cvae_attributes": Entry(
        _cvae_attributes,
        {"num_attributes": 2, "prior.num_attributes": 2, "prior.components": 2},
        conditional=True,
        labels=places,
        closed_kl=False,
        modes=2,
    ),
    "hierarchical_vae": Entry(
        _two_scales,
        {
            "free_bits": 0.25,
            "kl_balancing": True,
            "seed": 3,
            "decoder.image_shape": SHAPE,
            "decoder.scales": (8, 2),
            "decoder.layers": (1, 1),
            "decoder.latent_dim": (3, 1),
            "decoder.width": (6, 5),
            "decoder.hidden": (5, 4),
            "decoder.activation": "silu",
        },
        latents=((1, 1, 3), (4, 4, 1)),
    ),
    "hierarchical_vae_mixture": Entry(
        _one_scale,
        {"free_bits": 0.125, "name": "other", "likelihood.components": 2, "likelihood.channels": 1},
        eight_bit=True,
        latents=((2, 2, 2),),
    ),
    "vq_vae": Entry(
        lambda: _vq_vae(_quantizer(), zoo.likelihoods.Gaussian(0.25)),
        {
            "commitment_cost": 0.75,
            "likelihood.scale": 0.25,
            "quantizer.num_codes": 12,
            "quantizer.code_dim": 6,
            "quantizer.decay": 0.9,
            "quantizer.gradient": "rotation",
            "quantizer.revival": 0.1,
            "quantizer.seed": 3,
        },
    ),
    "vq_vae_gradient": Entry(
        lambda: _vq_vae(
            _quantizer(codebook="gradient", initialization="uniform"),
            zoo.likelihoods.DiscretizedLogisticMixture(components=2, channels=1),
        ),
        {"quantizer.codebook": "gradient", "quantizer.initialization": "uniform", "likelihood.components": 2},
    ),
    "vq_vae_prior": Entry(
        lambda: _vq_vae(_quantizer(), zoo.likelihoods.Gaussian(0.25), _prior()),
        {
            "prior.num_codes": 12,
            "prior.grid_shape": (2, 2),
            "prior.width": 12,
            "prior.depth": 1,
            "prior.heads": 3,
            "prior.dropout": 0.25,
            "prior.seed": 3,
        },
    ),
    "vq_vae_fsq": Entry(
        lambda: _vq_vae(zoo.quantizers.FiniteScalarQuantizer((4, 3, 5)), zoo.likelihoods.Gaussian(0.25)),
        {"quantizer.levels": (4, 3, 5), "quantizer.num_codes": 60, "quantizer.code_dim": 3},
    ),
    "vq_vae_residual": Entry(
        lambda: _vq_vae(_residual(), zoo.likelihoods.Gaussian(0.25)),
        {
            "quantizer.num_codes": 12,
            "quantizer.code_dim": 6,
            "quantizer.depth": 3,
            "quantizer.codebook": "gradient",
            "quantizer.decay": 0.9,
            "quantizer.gradient": "rotation",
            "quantizer.initialization": "uniform",
            "quantizer.revival": 0.1,
            "quantizer.seed": 3,
        },
        codes_shape=(2, 6),
    ),
    "iwae": Entry(_iwae, {"num_samples": 3, "gradient": "dreg", "likelihood.scale": 0.3, "seed": 3}),
    "beta_tc_vae": Entry(_beta_tc_vae, {"dataset_size": 32, "beta": 3.0, "alpha": 0.5, "gamma": 2.0, "seed": 3}),
    "info_vae": Entry(_info_vae, {"alpha": 0.25, "lambda_": 20.0, "free_bits": 0.125, "seed": 3}),
    "factor_vae": Entry(
        _factor_vae, {"gamma": 2.0, "free_bits": 0.125, "seed": 3, "critic.input_shape": (None, LATENTS)}
    ),
    "vaeac": Entry(
        _vaeac, {"alpha": 0.75, "masks.kinds": {"halves": 1.0, "all": 1.0}, "masks.seed": 5, "likelihood.scale": 0.3}
    ),
    "rows": Entry(
        _rows,
        {"free_bits": 0.125, "seed": 3, "likelihood.channels": (24, 16, 24), "likelihood.columns": {"kept": [1, 2]}},
        data=rows,
    ),
    "future_vae": Entry(
        _future_vae,
        {"past_shape": (1, *SHAPE), "past.output_shape": (None, 2, 2, 2), "free_bits": 0.125, "likelihood.scale": 0.3},
        conditional=True,
        data=next_frames,
        labels=past_frames,
    ),
    "text_vae": Entry(
        _text_vae,
        {
            "free_bits": 0.125,
            "seed": 3,
            "vocabulary": {"kind": "own"},
            "encoder.dropout": 0.125,
            "decoder.length": TOKENS,
            "decoder.word_dropout": 0.25,
            "decoder.width": 12,
            "decoder.heads": 3,
        },
        data=sentences,
    ),
}


# Each is another entry but for one part: what takes long is done with them in the slow tests.
VARIANTS = (
    "vae_mixture", "cvae_flow", "hierarchical_vae_mixture", "vq_vae_gradient", "vq_vae_fsq", "vq_vae_residual",
    "iwae", "beta_tc_vae", "info_vae", "factor_vae", "rows", "vaeac", "future_vae", "text_vae",
)  # fmt: skip


# Of the same classes as others: what is special about them has tests of its own, in tests/models, tests/priors,
# tests/quantizers and tests/likelihoods.
REPEATED = ("beta_vae", "cvae_flow", "hierarchical_vae_mixture", "vq_vae_gradient")

# One of each way to encode, decode and sample; the others share these methods.
CORE = ("vae", "cvae", "hierarchical_vae", "vq_vae", "vq_vae_prior")
# All others take a step without a graph, and their objectives and priors have tests in tests/models and tests/priors.
TRAINED = (*CORE, "capacity", "iwae")


def of_each_class(names):
    """Names as parameters of a quick test that every class must pass: those `REPEATED` are for the slow tests."""
    return params(names, quick={*names} - {*REPEATED})


def core(names):
    """Names as parameters of a test of a trained model: those not in `CORE` are for the slow tests."""
    return params(names, quick={*names} & {*CORE})


def params(names, quick=None):
    """Names as parameters of a test that takes long: all but `quick` ones, or variants, are slow tests."""
    names = list(names)
    quick = set(names) - set(VARIANTS) if quick is None else quick
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


def images(number=32, seed=0):
    """Blobs of two kinds on the 8-bit grid, so that there is something to learn: `[N,8,8,1]`, labels `[N]`."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 4, number).astype(np.int32)
    rows, columns = np.mgrid[:8, :8]
    centre = np.stack([2 + 3 * (labels // 2), 2 + 3 * (labels % 2)], axis=-1) + draw.normal(0, 0.3, (number, 2))
    squared = (rows - centre[:, :1, None]) ** 2 + (columns - centre[:, 1:, None]) ** 2
    return (np.rint(255 * np.exp(-squared / 4)) / 255).astype(np.float32)[..., None], labels


def data_of(entry, x):
    """Images as the model of an entry takes them."""
    return x if entry.data is None else entry.data(x).numpy()


def labels_of(entry, classes):
    """Labels as the model of an entry takes them, from classes 0 to 3 `[N]`."""
    return classes if entry.labels is None else entry.labels(classes).numpy()


def train_spread(name, strategy, number):
    """A model trained in the scope of a strategy on `number` images, in batches of 8, and its history of two epochs.

    The noise of each training step is the same for every example, so that how a batch is spread cannot matter.
    """
    entry = ENTRIES[name]
    x, labels = images(number)
    split = data.Images(np.rint(255 * x).astype(np.uint8), labels)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = entry.make()
        model.compile(keras.optimizers.Adam(1e-2))
    for layer in model._flatten_layers():
        if isinstance(layer, zoo.layers.Dropout):
            layer.draw = lambda generator, shape: tf.fill(shape, 0.4)
    if hasattr(model, "sampling"):
        model.sampling.noise = lambda shape: tf.fill(shape, 0.7)
    if hasattr(model, "masks"):
        model.masks.draw = lambda generator, shape: tf.fill(shape, 0.4)
        model.sampling.draw = lambda generator, shape: tf.fill(shape, 5)  # seeds of z of the prior
    if hasattr(model, "capacity_in_force"):  # at C the derivative of |KL − C| jumps, which rounding decides
        model.capacity_in_force.assign(100.0)

    def batches(context, **kwargs):
        how = {"seed": 3, "dynamic": True, "labels": model.conditional}
        dataset = data.batches(split, 8, context=context, **how, **kwargs)
        make_x, make_labels = (make or tf.identity for make in (entry.data, entry.labels))
        if not model.conditional:
            return dataset.map(make_x)
        return dataset.map(lambda x, classes: (make_x(x), make_labels(classes)))

    training = replicas.distribute(strategy, lambda context: batches(context, shuffle=True, epochs=None))
    validation = replicas.distribute(strategy, batches)
    steps = data.steps_per_epoch(number, 8)
    history = model.fit(training, validation_data=validation, steps_per_epoch=steps, epochs=2, verbose=0, shuffle=False)
    return model, history.history
