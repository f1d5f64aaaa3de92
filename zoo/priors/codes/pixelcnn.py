"""The gated PixelCNN as a prior over codes."""

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from zoo.priors.codes._base import Cache, CodePrior
from zoo.runtime import checks
from zoo.runtime.types import Config, Shape, Tensor


class GatedLayer(layers.Layer):
    """Two stacks: the vertical one sees the rows above a place, the horizontal one also the places left of it.

    Van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders", figure 2, with the gate of eqs. (2)
    and (4):

        y = tanh(W_f ∗ x + V_f h) ⊙ σ(W_g ∗ x + V_g h)

    h is the label as a one-hot vector: V_f h is a learned vector for each label. With a kernel of 5 the vertical
    convolution has 3 rows (the place's own and the 2 above) and 5 columns, the horizontal one 1 row and 3 columns (the
    place's own and the 2 on its left). Padding on those sides alone makes masks unnecessary.

    Args:
        width: int, W, the channels of either stack.
        kernel_size: odd int.
        num_classes: int, the number of classes; or None.
    """

    def __init__(self, width: int, kernel_size: int, num_classes: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reach = kernel_size // 2

        def convolution(inputs, channels, *size):
            layer = layers.Conv2D(channels, size, dtype=self.dtype_policy)
            layer.build((None, None, None, inputs))
            return layer

        self.vertical = convolution(width, 2 * width, self.reach + 1, kernel_size)
        self.horizontal = convolution(width, 2 * width, 1, self.reach + 1)
        self.across = convolution(2 * width, 2 * width, 1, 1)
        self.out = convolution(width, width, 1, 1)
        self.label_vectors: layers.Embedding | None = None
        if num_classes is not None:
            self.label_vectors = layers.Embedding(num_classes, 4 * width, dtype=self.dtype_policy)
            self.label_vectors.build()
        self.built = True

    def call(self, above: Tensor, left: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Transforms the vertical and the horizontal stack, `[B,h,w,W]` each."""
        reach = self.reach
        vertical = self.vertical(ops.pad(above, ((0, 0), (reach, 0), (reach, reach), (0, 0))))
        horizontal = self.horizontal(ops.pad(left, ((0, 0), (0, 0), (reach, 0), (0, 0)))) + self.across(vertical)
        if labels is not None and self.label_vectors is not None:
            biases = ops.split(self.label_vectors(labels)[:, None, None], 2, axis=-1)
            vertical, horizontal = vertical + biases[0], horizontal + biases[1]
        return _gate(vertical), left + self.out(_gate(horizontal))


def _gate(x):
    feature, gate = ops.split(x, 2, axis=-1)
    return ops.tanh(feature) * ops.sigmoid(gate)


@keras.saving.register_keras_serializable("zoo")
class PixelCNN(CodePrior):
    """The gated PixelCNN over a grid of codes: convolutions that see the places above and on the left.

        above, left = code(c) moved down, code(c) moved right;   `depth` × gated layer;   logits = head(left)

    Van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders", section 2. Deviations: codes become
    learned vectors; these are moved by one place before the first layer, where the paper masks that layer, which makes
    all layers alike, each with the residual; the head is two 1×1 convolutions after ReLUs, as in van den Oord et al.
    2016, "Pixel Recurrent Neural Networks", table 1.

    A place sees depth · (kernel_size // 2) + 1 rows up and as many columns left. Sampling computes the whole grid for
    each place: `zoo.priors.Transformer` is faster.

    Args:
        num_codes: int >= 1, K.
        grid_shape: pair of ints (h, w), the codes of an image.
        num_classes: int >= 1 for a prior of log p(c|y), whose labels `fit` takes as `y`; or None.
        width: int >= 1, channels.
        depth: int >= 1, gated layers.
        kernel_size: odd int >= 3.
        dropout: float in [0, 1), between the layers, in training.
        seed: int or None, of the dropout.

    Call arguments:
        codes: int32 `[B,h,w]`.
        labels: int32 `[B]`, for a conditional prior.
        training: bool.

    Returns:
        logits, float32 `[B,h,w,K]`.

    Reports:
        `loss`, −log p(codes) in nats per example, and `nats_per_code`.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> prior = zoo.priors.PixelCNN(num_codes=512, grid_shape=(8, 8))
        >>> prior.compile("adam")
        >>> prior.fit(model.encode(images), batch_size=64, epochs=20)
    """

    def __init__(
        self,
        num_codes: int,
        grid_shape: Shape,
        num_classes: int | None = None,
        width: int = 64,
        depth: int = 8,
        kernel_size: int = 5,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_codes, grid_shape, num_classes, dropout, seed, **kwargs)
        self.width = checks.positive_int("width", width)
        self.depth = checks.positive_int("depth", depth)
        self.kernel_size = checks.positive_int("kernel_size", kernel_size)
        if self.kernel_size < 3 or self.kernel_size % 2 == 0:
            checks.fail("kernel_size", "an odd integer >= 3", kernel_size)
        self.code_vectors = layers.Embedding(self.num_codes, width, dtype=self.dtype_policy, name="codes")
        self.code_vectors.build()
        self.gated = [
            GatedLayer(width, kernel_size, self.num_classes, dtype=self.dtype_policy, name=f"gated_{i}")
            for i in range(depth)
        ]
        self.hidden = layers.Dense(width, "relu", dtype=self.dtype_policy)
        # The eight bits of bfloat16 logits are too coarse to sample from.
        self.head = layers.Dense(self.num_codes, dtype="float32")
        for layer in (self.hidden, self.head):
            layer.build((None, None, None, width))
        self.built = True

    def call(self, codes: Tensor, labels: Tensor | None = None, training: bool = False) -> Tensor:
        return self._logits(self._features(codes, labels, training))

    def step(self, place: Tensor, codes: Tensor, labels: Tensor | None, cache: Cache) -> tuple[Tensor, Cache]:
        features = self._features(ops.reshape(codes, (-1, *self.grid_shape)), labels)
        features = tf.gather(ops.reshape(features, (-1, self.length, self.width)), place, axis=1)
        return self._logits(features), cache

    def _features(self, codes, labels, training=False):
        """The horizontal stack after the last layer, `[B,h,w,W]`."""
        vectors = self.code_vectors(ops.reshape(codes, (-1,)))  # flat, as TFLite's GATHER needs it
        vectors = ops.reshape(vectors, (-1, *self.grid_shape, self.width))
        above = ops.pad(vectors[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))
        left = ops.pad(vectors[:, :, :-1], ((0, 0), (0, 0), (1, 0), (0, 0)))
        for layer in self.gated:
            above, left = layer(above, left, labels)
            left = self.drop(left, training=training)
        return left

    def _logits(self, features):
        return self.head(self.hidden(ops.relu(features)))

    def get_config(self) -> Config:
        names = ("width", "depth", "kernel_size")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
