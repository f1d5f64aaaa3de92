"""The second stage of a run: a prior over the codes of the trained model."""

import dataclasses
import functools

import keras

from zoo import data, distributions, evaluation
from zoo.runtime import files, replicas
from zoo.training import codes, options, pictures, stage

_PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Figures:
    """What a prior adds to `metrics.json`: to the figures of the test split, and beside them."""

    test: dict = dataclasses.field(default_factory=dict)
    about: dict = dataclasses.field(default_factory=dict)


def train(recipe, flags, model, splits, batches):
    """Fits a prior to the codes of the training images, and attaches it to the model.

    Args:
        recipe: `Prior`.
        flags: `RunFlags`.
        model: a trained `zoo.VQVAE`.
        splits: `zoo.data.Splits`.
        batches: function of (images, context=None, **what `zoo.data.batches` takes).

    Returns:
        `Figures`; of several workers only the chief's have all.
    """
    kind, batch_size, seed = flags.prior.kind, flags.prior.batch_size, flags.seed
    images = [getattr(splits, part) for part in _PARTS]
    disk_folder = flags.output if flags.no_cache else None
    grids = dict(zip(_PARTS, codes.encode(model, map(batches, images), map(len, images), disk_folder)))
    plan = stage.Plan.of(
        recipe, len(splits.train), batch_size, flags.prior.epochs, flags.steps_per_epoch, flags.sample
    )  # fmt: skip
    height, width = grids["train"].shape[1:]
    keras.utils.set_random_seed(seed)  # the first weights must not depend on what was trained before
    with model.distribute_strategy.scope():
        prior = recipe.build(kind, model.quantizer.num_codes, (height, width), seed, flags.sample)
        stage.compile_model(prior, recipe, flags.prior.learning_rate, plan)
    code_batches = functools.partial(_code_batches, grids, batch_size, seed)
    path = flags.output / "model.keras"

    def save():
        model.prior = prior
        files.save_model(model, path)

    second = stage.Stage(
        prior,
        plan,
        flags.output / f"prior_{kind}",
        flags.records.settings | _settings(kind, batch_size, flags.prior.learning_rate, recipe.ema),
        flags.records.defaults,
        training=lambda step, context: code_batches("train", context, shuffle=True, epochs=None, first_step=step),
        validation=functools.partial(code_batches, "validation"),
        checkpoint_seconds=flags.checkpoint_seconds,
        save=save,
        trained_on=codes.fingerprint(model),
        name="prior",
    )
    print(f"{kind} over {height}×{width} codes: {stage.count_parameters(prior):,} parameters")
    history = stage.train(second, flags.fresh)
    model.prior = prior
    test = {"prior_nats_per_code": stage.evaluate(prior, functools.partial(code_batches, "test"))["nats_per_code"]}
    if not replicas.is_chief(model.distribute_strategy):
        return Figures(test)
    pictures.plot_curves(history, second.folder, ["nats_per_code"], "nats per code")
    test["unigram_nats_per_code"] = codes.unigram_nats_per_code(grids["train"], grids["test"], prior.num_codes)
    test |= _bound(model, batches(splits.test), splits.test.images.shape[1:])
    return Figures(
        test,
        {"prior": {"kind": kind, "parameters": stage.count_parameters(prior), **stage.summary(history)}},
    )


def _code_batches(grids, batch_size, seed, part, context=None, **kwargs):
    return data.code_batches(grids[part], batch_size, seed=seed, context=context, **kwargs)


def _settings(kind, batch_size, learning_rate, ema):
    """What must be the same for this stage to go on, beside the settings of the first, on which it rests."""
    values = {"prior": kind, "prior_batch_size": batch_size, "prior_learning_rate": learning_rate, "prior_ema": ema}
    return {name: options.text(value) for name, value in values.items()}


def _bound(model, batches, image_shape):
    """The ELBO of the test images under the model with its prior, in nats and, of 8-bit values, in bits per dim."""
    elbo = evaluation.log_prob(model, batches)["log_prob"]
    if not model.likelihood.eight_bit:
        return {"elbo": elbo}
    return {"elbo": elbo, "bits_per_dim": distributions.bits_per_dim(elbo, image_shape)}
