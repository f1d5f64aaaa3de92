"""The training of a decoder for sharp images: a perceptual and an adversarial loss."""

import functools
import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from zoo import layers, networks
from zoo.fitting import inputs, phase
from zoo.layers import PerceptualDistance
from zoo.likelihoods import Masked
from zoo.models._base import BaseVAE
from zoo.models._critic import HasCritic
from zoo.models._prior import HoldsApart
from zoo.models.iwae import IWAE
from zoo.models.vae import VAE
from zoo.models.vaeac import VAEAC
from zoo.models.vq_vae import VQVAE
from zoo.runtime import checks, cores, replicas
from zoo.runtime.settings import Setting
from zoo.runtime.types import ArrayLike, Config, Labels, Tensor, Tensors


@keras.saving.register_keras_serializable("zoo")
class Sharpening(HasCritic, HoldsApart):
    """Trains the decoder of a trained model further, for sharp images from the same latents.

        loss = −log p(x|z) / n + w_p · d(x, x̂) − w_a · mean critic(T(x̂)),   x̂ = E[x|z]
        critic loss = mean max(0, 1 − critic(T(x))) + mean max(0, 1 + critic(T(x̂)))
                      + λ · mean [ (critic(T(x)) − α_f)² + (critic(T(x̂)) − α_r)² ]

    n is the number of values of an example; d is a `zoo.layers.PerceptualDistance`. The critic gives a logit for each
    patch of an image. Its loss is the hinge loss (Lim & Ye 2017, "Geometric GAN", eqs. (15) and (16)) with the
    regularisation of Tseng et al. 2021, "Regularizing GANs under Limited Data" (LeCam), eq. (4): α_r and α_f are
    exponential averages of its logits for real images and for reconstructions. T is a random shift, mirror image and
    change of brightness, the same for all images of a step (Zhao et al. 2020, "Differentiable Augmentation"; deviation:
    there each image has its own). After Esser et al. 2021, "Taming Transformers" (VQGAN); deviations: the decoder
    alone is trained by default, and w_a is fixed, not computed from gradients.

    This loss is no bound of log p(x): the model's own ELBO falls a little while its images become sharper. The model
    that was given has the new decoder's weights after `fit`; all else of it is unchanged if `freeze` is True.

    Args:
        model: a trained model of the zoo with a decoder from latents to images, such as a `zoo.VQVAE` or `zoo.VAE`.
        perceptual: a `zoo.layers.PerceptualDistance`, or None for no such term.
        critic: layer from `[B,H,W,C]` to logits `[B,h,w,1]`; None for `zoo.networks.patch_discriminator(C)`.
        perceptual_weight: float >= 0, w_p.
        adversarial_weight: float >= 0, w_a.
        critic_steps: int >= 0, the first steps in which w_a counts as 0: the critic learns to tell images apart first.
        lecam_weight: float >= 0, λ.
        freeze: bool, whether the decoder alone is trained. False trains the encoder, and a codebook, too, with the
            other terms of the model's own loss, divided by n.
        seed: int or None, of T.

    Call arguments:
        as the model's.

    Returns:
        the model's reconstructions.

    Reports:
        `reconstruction` in nats per example; `squared_error`, the mean over values; `perceptual`; `adversarial`, the
        term −mean critic(T(x̂)), without w_a; in training `critic_loss`, 2 for a critic that knows nothing.

    Raises:
        ValueError: for arguments out of range, and for a model that cannot be trained in this way: without a decoder
            that takes latents, of data that are no images, or with `freeze=False` and an objective other than those of
            `zoo.VAE`, `zoo.BetaVAE`, `zoo.CVAE` and `zoo.VQVAE`.

    Example:
        >>> stage = zoo.Sharpening(model, zoo.training.perceptual.load("cifar10_vgg", channels=1), critic_steps=0)
        >>> stage.compile(keras.optimizers.Adam(3e-4))
        >>> stage.fit(images, batch_size=32, epochs=2, callbacks=[zoo.callbacks.GoBack(images[:256])])
        >>> model.reconstruct(images)
    """

    term_names = ("loss", "reconstruction", "squared_error", "perceptual", "adversarial", "critic_loss")
    training_only = ("critic_loss",)
    perceptual_weight = Setting(checks.number, 0.0)
    adversarial_weight = Setting(checks.number, 0.0)
    critic_steps = Setting(checks.integer, 0)
    lecam_weight = Setting(checks.number, 0.0)
    freeze = Setting(checks.boolean, fixed=True)
    seed = Setting(checks.seed, fixed=True)

    def __init__(
        self,
        model: BaseVAE,
        perceptual: PerceptualDistance | None = None,
        critic: keras.layers.Layer | None = None,
        perceptual_weight: float = 0.1,
        adversarial_weight: float = 0.01,
        critic_steps: int = 500,
        lecam_weight: float = 0.01,
        freeze: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _require_trainable(model, freeze)
        self.model = model
        self.num_classes, self.num_attributes = model.num_classes, model.num_attributes
        if perceptual is not None and not isinstance(perceptual, PerceptualDistance):
            checks.fail("perceptual", "a zoo.layers.PerceptualDistance or None", perceptual)
        if perceptual is not None and perceptual.network.input_shape[-1] not in (None, model.image_shape[-1]):
            its_channels = f"one of {perceptual.network.input_shape[-1]} channels"
            checks.fail("perceptual", f"a distance of images with {model.image_shape[-1]} channels", its_channels)
        self.perceptual = perceptual
        self.critic = networks.patch_discriminator(model.image_shape[-1]) if critic is None else critic
        self.perceptual_weight = perceptual_weight
        self.adversarial_weight = adversarial_weight
        self.critic_steps = critic_steps
        self.lecam_weight = lecam_weight
        self.freeze = freeze
        self.seed = seed
        self.noise = layers.Noise(seed, dtype="float32")
        make = {"trainable": False, "aggregation": "only_first_replica"}
        self.steps = self.add_weight(name="steps", shape=(), dtype="int32", initializer="zeros", **make)
        self.start_error = self.add_weight(name="start_error", shape=(), initializer="zeros", dtype="float32", **make)
        self.averages = self.add_weight(name="averages", shape=(2,), initializer="zeros", dtype="float32", **make)
        self.built = model.built
        if self.built:
            _logits(self.critic, keras.KerasTensor((None, *model.image_shape)))  # so that the critic has its weights

    # The weights that are trained.

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        return self.model.decoder.trainable_weights if self.freeze else self.model.trainable_weights

    # The objective.

    def compute_terms(
        self, x: Tensor, labels: Tensor | None = None, training: bool = False, target: Tensor | None = None
    ) -> Tensors:
        target = x if target is None else target
        values = float(math.prod(target.shape[1:]))
        object.__setattr__(self.model, "_added", self._added)  # the losses that its layers add are this model's
        with phase.step_of(self, training and not self.freeze):
            inputs, others = self.model.bottleneck(x, labels, training=training and not self.freeze)
        if self.freeze:
            inputs, others = ops.stop_gradient(inputs), ops.zeros_like(others)
        params = self.model.likelihood_params(inputs, training=training)
        reconstruction = -self.model.judge(target, params, training=training)
        images = self.model.likelihood.mean(params)
        transform = self._transform() if training else None
        perceptual, adversarial = cores.spread(functools.partial(self._distances, transform=transform), target, images)
        weight = self.adversarial_weight * ops.cast(self.steps >= self.critic_steps, "float32")
        return {
            "loss": (reconstruction + others) / values + self.perceptual_weight * perceptual + weight * adversarial,
            "reconstruction": reconstruction,
            "squared_error": ops.mean(ops.square(target - images), axis=(1, 2, 3)),
            "perceptual": perceptual,
            "adversarial": adversarial,
            "real": target,
            "images": images,
        }

    def _distances(self, x, images, transform):
        perceptual = ops.zeros_like(x[:, 0, 0, 0]) if self.perceptual is None else self.perceptual(x, images)
        return perceptual, -ops.mean(_logits(self.critic, _transformed(images, transform)), axis=1)

    # The critic.

    def critic_share(self, terms: Tensors) -> Tensor:
        transform = self._transform()
        pair = [ops.stop_gradient(terms[name]) for name in ("real", "images")]

        def judged(*pair):
            return tuple(_logits(self.critic, _transformed(each, transform), training=True) for each in pair)

        real, fake = cores.spread(judged, *pair, statistics=bool(self.critic.non_trainable_weights))
        of_real, of_fake = self.averages[0], self.averages[1]
        loss = ops.mean(ops.relu(1.0 - real) + ops.relu(1.0 + fake), axis=1)
        loss += self.lecam_weight * ops.mean(ops.square(real - of_fake) + ops.square(fake - of_real), axis=1)
        means = [replicas.mean_over_batch(ops.stop_gradient(ops.mean(logits, axis=1))) for logits in (real, fake)]
        averages = _MOMENTUM * self.averages + (1.0 - _MOMENTUM) * tf.stack(means)
        self.averages.assign(tf.where(tf.math.is_finite(averages), averages, self.averages))  # NaN would stay for ever
        self.steps.assign_add(1)
        return replicas.share_of_mean(loss)

    def _transform(self):
        """Four random numbers in [0, 1) for `_transformed`, the same on every replica."""
        return tf.random.stateless_uniform([4], seed=[0, self.noise.row_seeds(1)[0]])

    # The model that is trained.

    def checked(self, images: ArrayLike, labels: Labels = None) -> tuple[Tensor, Tensor | None]:
        """Images and labels as `compute_terms` takes them; raises ValueError for those that `fit` refuses."""
        found = self._inputs(images, labels)
        inputs.look([*self.model.values_of("x", images), *self.model.values_of("labels", labels)])
        return found

    def call(self, x: Tensor, labels: Labels = None) -> Tensor:
        return self.model(x, labels)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(H, W, C) of the model's images."""
        return self.model.image_shape

    @property
    def example_shape(self) -> tuple[int, ...] | None:
        return self.model.example_shape

    def _input_names(self):
        return self.model._input_names()

    def _check_data(self, name, x):
        return self.model._check_data(name, x)

    def _inputs(self, x, labels):
        return self.model._inputs(x, labels)

    def _values(self, batch, judged=True):
        return self.model._values(batch, judged)

    def get_config(self) -> Config:
        names = ("perceptual_weight", "adversarial_weight", "critic_steps", "lecam_weight", "freeze", "seed")
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in _PARTS}
        return {**super().get_config(), **parts, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config: Config) -> "Sharpening":
        parts = {name: keras.saving.deserialize_keras_object(config[name]) for name in _PARTS}
        return cls(**{**config, **parts})


_PARTS = ("model", "perceptual", "critic")
_MOMENTUM = 0.99  # of α_r and α_f (Tseng et al. 2021, section 4)
_SHIFT, _BRIGHTNESS = 8, 0.1  # a shift of an eighth of the image at most, to both sides


def _transformed(images, numbers):
    """T(images); the images themselves without `numbers`."""
    if numbers is None:
        return images
    most = [size // _SHIFT for size in images.shape[1:3]]
    start = tf.cast(numbers[:2] * tf.constant([2.0 * shift + 1.0 for shift in most]), tf.int32)
    padded = tf.pad(images, [[0, 0], *([shift, shift] for shift in most), [0, 0]])
    shifted = tf.slice(padded, tf.concat([[0], start, [0]], 0), tf.shape(images))
    mirrored = tf.cond(numbers[2] < 0.5, lambda: tf.reverse(shifted, [2]), lambda: shifted)
    return tf.ensure_shape(mirrored, images.shape) + _BRIGHTNESS * (2.0 * numbers[3] - 1.0)


def _logits(critic, images, training=False):
    logits = critic(images, training=training)
    if len(logits.shape) != 4 or logits.shape[-1] != 1:
        raise ValueError(f"Expected the critic to give [B, h, w, 1]. Received: an output of shape {logits.shape}")
    return ops.reshape(ops.cast(logits, "float32"), (-1, logits.shape[1] * logits.shape[2]))


def _require_trainable(model: object, freeze: bool) -> None:
    """Raises ValueError unless `Sharpening` can train the model."""
    if not isinstance(model, BaseVAE) or type(model).bottleneck is BaseVAE.bottleneck:
        checks.fail("model", "a model of the zoo with a decoder that takes latents, such as a VQVAE or VAE", model)
    if isinstance(model, VAEAC) or isinstance(model.likelihood, Masked):
        checks.fail("model", "one that judges whole images, such as a VQVAE or VAE", type(model).__name__)
    if len(model.image_shape) != 3:
        checks.fail("model", "a model of images [B,H,W,C]", f"one of data of the shape {model.image_shape}")
    own = isinstance(model, HasCritic) or not isinstance(model, (VAE, VQVAE)) or isinstance(model, IWAE)
    if not freeze and own:
        checks.fail("freeze", f"True for a {type(model).__name__}, whose objective is another", freeze)
