"""The second stage of a run: a prior over the codes of the trained model."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from zoo import data, distributions, evaluation
from zoo.runtime import replicas
from zoo.training import codes, options, pictures, stage
from zoo.training.flags import RunFlags
from zoo.training.recipe import Prior

_PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Figures:
    """The figures of a prior for `metrics.json`: `test` goes into the entry of that name, `about` beside it."""

    test: dict[str, float] = dataclasses.field(default_factory=dict)
    about: dict[str, object] = dataclasses.field(default_factory=dict)


def train(
    recipe: Prior,
    flags: RunFlags,
    model: keras.Model,
    splits: data.Splits | data.StreamedSplits,
    batches: Callable[..., tf.data.Dataset],
) -> Figures:
    """Fits a prior to the codes of the training examples, and attaches it to the model.

    Args:
        recipe: `Prior`.
        flags: `RunFlags`.
        model: a trained `zoo.VQVAE`.
        splits: `zoo.data.Splits` or `StreamedSplits`. The codes of the latter are kept on disk.
        batches: function of (images, context=None, **kwargs of `zoo.data.batches`) that gives a dataset.

    Returns:
        `Figures`. In a worker that is not the chief some are missing.

    Raises:
        ValueError: if the flags have none of a prior.
    """
    if flags.prior is None:
        raise ValueError("Expected the flags of a recipe with a prior. Received: flags.prior=None")
    kind, batch_size, seed = flags.prior.kind, flags.prior.batch_size, flags.seed
    images = [getattr(splits, part) for part in _PARTS]
    disk_folder = flags.output if flags.no_cache or flags.shards else None
    grids = dict(zip(_PARTS, codes.encode(model, map(batches, images), map(len, images), disk_folder)))
    plan = stage.Plan.of(
        recipe, len(splits.train), batch_size, flags.prior.epochs, flags.steps_per_epoch, flags.on_sample
    )  # fmt: skip
    height, width = grids["train"].shape[1:]
    keras.utils.set_random_seed(seed)  # the initial weights must not depend on the first stage
    with model.distribute_strategy.scope():
        settings = recipe.settings(flags.own)
        prior = recipe.build(kind, model.quantizer.num_codes, (height, width), seed, flags.on_sample, **settings)
        stage.compile_model(prior, recipe, flags.prior.learning_rate, plan)
    code_batches = functools.partial(_code_batches, grids, batch_size, seed)
    path = flags.output / "model.keras"

    def save():
        model.prior = prior
        model.save(path)

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
    test |= _bound(model, batches(splits.test))
    return Figures(
        test,
        {"prior": {"kind": kind, "parameters": stage.count_parameters(prior), **stage.summary(history)}},
    )


def _code_batches(grids, batch_size, seed, part, context=None, **kwargs):
    return data.code_batches(grids[part], batch_size, seed=seed, context=context, **kwargs)


def _settings(kind, batch_size, learning_rate, ema):
    """The settings that must not change when this stage resumes, in addition to those of the first stage."""
    values = {"prior": kind, "prior_batch_size": batch_size, "prior_learning_rate": learning_rate, "prior_ema": ema}
    return {name: options.text(value) for name, value in values.items()}


def _bound(model, batches):
    """The ELBO of the test examples under model and prior, in nats, and in bits per dim for 8-bit values."""
    elbo = evaluation.log_prob(model, batches)["log_prob"]
    if not model.likelihood.eight_bit:
        return {"elbo": elbo}
    return {"elbo": elbo, "bits_per_dim": distributions.bits_per_dim(elbo, model.image_shape)}
