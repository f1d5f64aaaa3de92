"""Building blocks that several networks share."""

from collections.abc import Sequence

import keras
from keras import layers

from zoo.runtime import checks
from zoo.runtime.types import Shape, Tensor


def require_channels_last() -> None:
    """Raises ValueError if convolutions of Keras would take (H, W, C) for (C, H, W)."""
    if keras.config.image_data_format() != "channels_last":
        expected = "'channels_last', by keras.config.set_image_data_format or in ~/.keras/keras.json"
        checks.fail("image_data_format", expected, keras.config.image_data_format())


def sizes(name: str, shape: Shape, form: str = "", any_size: bool = False) -> tuple[int, ...]:
    """The sizes of a shape, integers >= 1, as many as `form` has, such as "(H, W, C)"; raises ValueError for others.

    With `any_size`, None may stand for any but the last.
    """
    try:
        found = tuple(shape)
    except TypeError:
        found = ()
    known = [size for place, size in enumerate(found, 1) if size is not None or not any_size or place == len(found)]
    if not found or not all(checks.is_integer(size) and size >= 1 for size in known):
        checks.fail(name, f"{form}, integers >= 1" if form else "a tuple of integers >= 1", shape)
    if form and len(found) != form.count(",") + 1:
        checks.fail(name, form, shape)
    return tuple(None if size is None else int(size) for size in found)


def check_divisible(image_shape: Shape, halvings: int, name: str = "image_shape") -> None:
    """Raises ValueError unless height and width can be halved `halvings` times, and Keras's images end in channels."""
    require_channels_last()
    checks.positive_int("downsamples", halvings)
    form = f"(H, W, C) with H and W divisible by {2**halvings}"
    if any(size % 2**halvings for size in sizes(name, image_shape, form)[:2]):
        checks.fail(name, form, tuple(image_shape))


def some_filters(filters: Sequence[int]) -> list[int]:
    """The channels of each resolution; raises ValueError for none."""
    found = checks.positive_ints("filters", filters)
    if not found:
        checks.fail("filters", "one integer >= 1 or more", filters)
    return found


def widths(filters: int, resolutions: int) -> list[int]:
    checks.positive_int("filters", filters)
    return [max(1, filters // 2)] * (resolutions - 1) + [filters]


def posterior(x: Tensor, latent_dim: int) -> Tensor:
    return layers.Dense(2 * checks.positive_int("latent_dim", latent_dim), name="posterior")(x)


def dense(x: Tensor, units: int, activation: str, name: str = "dense") -> Tensor:
    """A dense layer; for the activation "gated", times a second one with a sigmoid. `name` is that of `units`."""
    checks.positive_int(name, units)
    if activation == "gated":
        return layers.Multiply()([layers.Dense(units)(x), layers.Dense(units, activation="sigmoid")(x)])
    return layers.Dense(units, activation=activation)(x)


def residual(
    x: Tensor, channels: int, activation: str, hidden: int | None = None, dtype: str | keras.DTypePolicy | None = None
) -> Tensor:
    y = layers.Activation(activation, dtype=dtype)(x)
    y = layers.Conv2D(hidden or max(1, channels // 2), 3, padding="same", activation=activation, dtype=dtype)(y)
    # No bias, as the next layer has one: TensorFlow 2.21's fusion of convolution, bias, sum and ReLU fails here, and
    # then no other fusion of the graph happens either.
    return layers.Add(dtype=dtype)([x, layers.Conv2D(channels, 1, use_bias=False, dtype=dtype)(y)])


def residual_stack(
    x: Tensor, channels: int, blocks: int, activation: str = "relu", normalization: str | None = None
) -> Tensor:
    """Residual blocks, then a normalization over the channels of each place ("rms", or None), then the activation."""
    for _ in range(checks.integer("blocks", blocks, 0)):
        x = residual(x, channels, activation)
    if checks.one_of("normalization", normalization, (None, "rms")) == "rms":
        x = layers.RMSNormalization()(x)
    return layers.Activation(activation)(x)
