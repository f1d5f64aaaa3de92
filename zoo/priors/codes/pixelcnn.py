"""The gated PixelCNN as a prior over codes."""

import keras
import tensorflow as tf
from keras import layers, ops

from zoo.priors.codes._base import CodePrior
from zoo.runtime import checks


class GatedLayer(layers.Layer):
    """A layer of two stacks: the vertical one knows the rows above a place, the horizontal one also what is left of it.

    Van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders", figure 2, with the gate of eqs. (2)
    and (4):

        y = tanh(W_f ∗ x + V_f h) ⊙ σ(W_g ∗ x + V_g h)

    h is the label as a one-hot vector, so that V_f h is a learned vector for each label. With a kernel of 5 the
    vertical convolution has 3 rows (the place's own and the 2 above) and 5 columns, the horizontal one 1 row and 3
    columns (the place's own and the 2 on its left): padded on those sides, so that no mask is needed.

    Args:
        width: int, W, the channels of either stack.
        kernel_size: odd int.
        num_classes: int, how many labels there are; or None.
    """

    def __init__(self, width, kernel_size, num_classes, **kwargs):
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
        self.label_vectors = None
        if num_classes is not None:
            self.label_vectors = layers.Embedding(num_classes, 4 * width, dtype=self.dtype_policy)
            self.label_vectors.build()
        self.built = True

    def call(self, above, left, labels=None):
        """The stacks `[B,h,w,W]` each, vertical and horizontal, to the same."""
        reach = self.reach
        vertical = self.vertical(ops.pad(above, ((0, 0), (reach, 0), (reach, reach), (0, 0))))
        horizontal = self.horizontal(ops.pad(left, ((0, 0), (0, 0), (reach, 0), (0, 0)))) + self.across(vertical)
        if labels is not None:
            biases = ops.split(self.label_vectors(labels)[:, None, None], 2, axis=-1)
            vertical, horizontal = vertical + biases[0], horizontal + biases[1]
        return _gate(vertical), left + self.out(_gate(horizontal))


def _gate(x):
    feature, gate = ops.split(x, 2, axis=-1)
    return ops.tanh(feature) * ops.sigmoid(gate)


@keras.saving.register_keras_serializable("zoo")
class PixelCNN(CodePrior):
    """The gated PixelCNN over a grid of codes: convolutions that see what is above and what is left.

        above, left = code(c) moved down, code(c) moved right;   `depth` × gated layer;   logits = head(left)

    Van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders", section 2. Deviations: learned
    vectors for codes; moved by one place before the first layer, where the paper masks that layer, so that all layers
    are alike and all have the residual; the head is two 1×1 convolutions after ReLUs, as in van den Oord et al. 2016,
    "Pixel Recurrent Neural Networks", table 1.

    A place sees as far as depth · (kernel_size // 2) + 1 rows up and columns left. Sampling computes the whole grid for
    each place: `zoo.priors.Transformer` is the faster.

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
        self, num_codes, grid_shape, num_classes=None, width=64, depth=8, kernel_size=5, dropout=0.0, seed=None,
        **kwargs,
    ):  # fmt: skip
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
        # Logits of eight bits, as bfloat16 would give, are too coarse to choose by.
        self.head = layers.Dense(self.num_codes, dtype="float32")
        for layer in (self.hidden, self.head):
            layer.build((None, None, None, width))
        self.built = True

    def call(self, codes, labels=None, training=False):
        return self._logits(self._features(codes, labels, training))

    def step(self, place, codes, labels, cache):
        features = self._features(ops.reshape(codes, (-1, *self.grid_shape)), labels)
        features = tf.gather(ops.reshape(features, (-1, self.length, self.width)), place, axis=1)
        return self._logits(features), cache

    def _features(self, codes, labels, training=False):
        """The horizontal stack after the last layer, `[B,h,w,W]`."""
        vectors = self.code_vectors(ops.reshape(codes, (-1,)))  # by way of one axis, as TFLite's GATHER wants it
        vectors = ops.reshape(vectors, (-1, *self.grid_shape, self.width))
        above = ops.pad(vectors[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))
        left = ops.pad(vectors[:, :, :-1], ((0, 0), (0, 0), (1, 0), (0, 0)))
        for layer in self.gated:
            above, left = layer(above, left, labels)
            left = self.drop(left, training=training)
        return left

    def _logits(self, features):
        return self.head(self.hidden(ops.relu(features)))

    def get_config(self):
        names = ("width", "depth", "kernel_size")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
