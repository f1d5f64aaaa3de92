"""The last stage of a run: the decoder of the trained model, trained further for sharp images."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from zoo import callbacks, data, evaluation, networks
from zoo.models import Sharpening
from zoo.runtime import optimizers, replicas
from zoo.training import codes, monitors, perceptual, pictures, shards, stage
from zoo.training.flags import RunFlags
from zoo.training.recipe import Sharp

_WATCHED = 256  # validation images whose squared error tells that the training diverges


class WentBack(RuntimeError):
    """The training of the decoder diverged, and the model has the last good weights."""


@dataclasses.dataclass(frozen=True)
class Figures:
    """What `metrics.json` says about the stage, and a message if its training diverged."""

    about: dict[str, object] = dataclasses.field(default_factory=dict)
    went_back: str = ""


def train(
    recipe: Sharp,
    flags: RunFlags,
    model: keras.Model,
    splits: data.Splits | data.StreamedSplits,
    batches: Callable[..., tf.data.Dataset],
) -> Figures:
    """Trains the model's decoder with `zoo.Sharpening`. Encoder, codebook and prior stay as they are.

    If the squared error rises above its bound (`zoo.callbacks.GoBack`), or the loss is not finite, the decoder gets its
    last good weights back, and the stage ends.

    Args:
        recipe: `Sharp`.
        flags: `RunFlags`.
        model: a trained model of the zoo, with its prior.
        splits: `zoo.data.Splits` or `StreamedSplits`.
        batches: function of (images, context=None, **kwargs of `zoo.data.batches`) that gives a dataset.

    Returns:
        `Figures`.

    Raises:
        ValueError: if the flags have none of a decoder.
    """
    if flags.decoder is None:
        raise ValueError("Expected the flags of a recipe with a sharp decoder. Received: flags.decoder=None")
    plan = stage.Plan.of(
        recipe, len(splits.train), flags.batch_size, flags.decoder.epochs, flags.steps_per_epoch, flags.sample
    )  # fmt: skip
    variance = shards.pixel_variance(splits, flags.binarization)
    plain = evaluation.reconstruction_error(model, batches(splits.test), variance)
    sharpening = make(recipe, flags, model, plan)
    guard = callbacks.GoBack(*_watched(splits.validation, model.conditional))
    path = flags.output / "model.keras"
    last = stage.Stage(
        sharpening,
        plan,
        flags.output / "decoder_sharp",
        flags.records.settings | _settings(flags),
        flags.records.defaults,
        training=lambda step, context: batches(splits.train, context, shuffle=True, epochs=None, first_step=step),
        validation=functools.partial(batches, splits.validation),
        checkpoint_seconds=flags.checkpoint_seconds,
        callbacks=[guard],
        save=lambda: model.save(path),
        trained_on=codes.fingerprint(model.decoder),
        name="decoder",
    )
    number = stage.count_parameters(sharpening)
    print(f"sharp decoder: {number:,} parameters, and {sharpening.critic.count_params():,} of the critic")
    about = {"kind": "sharp", "perceptual": recipe.perceptual, "parameters": number, "plain": plain}
    try:
        history = stage.train(last, flags.fresh)
    except (callbacks.Diverged, monitors.NonFiniteLoss) as error:
        guard.restore()
        if replicas.is_chief(model.distribute_strategy):
            last.save()
        went_back = f"decoder: {error}" if isinstance(error, callbacks.Diverged) else _not_finite(guard, error)
        return Figures({"decoder": {**about, "status": "went back", "step": guard.last_good[0]}}, went_back)
    if replicas.is_chief(model.distribute_strategy):
        pictures.plot_curves(history, last.folder, ["perceptual", "squared_error"], "distance and squared error")
    return Figures({"decoder": {**about, "status": "complete", **stage.summary(history)}})


def make(recipe: Sharp, flags: RunFlags, model: keras.Model, plan: stage.Plan) -> Sharpening:
    """The compiled `zoo.Sharpening` of a model; arguments as in `train`, and the `Plan` of the stage."""
    assert flags.decoder is not None
    keras.utils.set_random_seed(flags.seed)  # the critic's weights must not depend on the stages before
    channels = model.image_shape[-1]
    with model.distribute_strategy.scope():
        sharpening = Sharpening(
            model,
            perceptual.load(recipe.perceptual, channels),
            networks.patch_discriminator(channels, recipe.filters),
            perceptual_weight=flags.decoder.perceptual_weight,
            adversarial_weight=flags.decoder.adversarial_weight,
            critic_steps=min(recipe.critic_steps, plan.total_steps // 4),
            seed=flags.seed,
        )
        critic = optimizers.Adam(flags.decoder.critic_learning_rate, beta_1=0.5, beta_2=0.99)
        stage.compile_model(sharpening, recipe, flags.decoder.learning_rate, plan, critic_optimizer=critic)
    return sharpening


def _watched(images, labelled):
    x = np.asarray(images.images[:_WATCHED], np.float32) / 255.0
    return x, images.labels[:_WATCHED] if labelled else None


def _settings(flags):
    """The settings that must not change when this stage resumes, in addition to those of the first stage."""
    names = ("learning_rate", "critic_learning_rate", "perceptual_weight", "adversarial_weight")
    return {f"decoder_{name}": str(getattr(flags.decoder, name)) for name in names}


def _not_finite(guard, error):
    return f"decoder: {error} The weights of step {guard.last_good[0]} are back."
