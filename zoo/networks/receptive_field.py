"""Which networks take images of any size, and how far a value of their output looks.

A network of convolutions takes images of every size that its strides divide, though it was built for one. `any_size`
gives such a network with the same weights, and the receptive field that follows from its layers.
"""

import dataclasses
import math
import weakref
from fractions import Fraction
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from zoo.runtime import checks
from zoo.runtime.types import Tensor

# Layers that compute each pixel alone.
_POINTWISE = (
    layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Softmax, layers.Rescaling, layers.Dense,
    layers.BatchNormalization, layers.LayerNormalization, layers.RMSNormalization, layers.Dropout,
    layers.SpatialDropout2D, layers.GaussianNoise, layers.GaussianDropout, layers.Identity,
)  # fmt: skip
_MERGING = (layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Concatenate)
_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
_POOLING = (layers.MaxPooling2D, layers.AveragePooling2D)


@dataclasses.dataclass(frozen=True)
class Axis:
    """The receptive field along height or width, in units of the network's input.

    Value i of the output depends on the inputs from `stride · i − before` to `stride · i + after`.

    Attributes:
        stride: Fraction; below 1 for a network that enlarges.
        before, after: Fractions >= 0.
        multiple: int, which divides the sizes that the network takes.
    """

    stride: Fraction = Fraction(1)
    before: Fraction = Fraction(0)
    after: Fraction = Fraction(0)
    multiple: int = 1

    def inputs(self, first: int, last: int) -> tuple[int, int]:
        """The first and the last input that the outputs from `first` to `last` depend on; they may lie outside."""
        return math.ceil(self.stride * first - self.before), math.floor(self.stride * last + self.after)

    def window(self, size: int, step: int) -> "Axis":
        """Followed by a convolution with zero padding ("same"), whose kernel spans `size` values, moved by `step`."""
        padding = max(size - step, 0) // 2
        return self._then(self.stride * step, self.stride * padding, self.stride * (size - 1 - padding))

    def transposed(self, size: int, step: int) -> "Axis":
        """Followed by a transposed convolution ("same") of a kernel of `size` that enlarges by `step`."""
        padding = max(size - step, 0) // 2
        stride = self.stride / step
        return self._then(stride, stride * (size - 1 - padding), stride * padding)

    def enlarged(self, times: int, bilinear: bool) -> "Axis":
        """Followed by an upsampling."""
        stride = self.stride / times
        more = self.stride if bilinear else Fraction(0)
        return self._then(stride, stride * (times - 1) + more, more)

    def merged(self, other: "Axis") -> "Axis":
        """Both added, or joined in another way, value by value."""
        multiple = math.lcm(self.multiple, other.multiple)
        return Axis(self.stride, max(self.before, other.before), max(self.after, other.after), multiple)

    def _then(self, stride, before, after):
        multiple = math.lcm(self.multiple, stride.numerator)
        return Axis(stride, self.before + before, self.after + after, multiple)


@dataclasses.dataclass(frozen=True)
class AnySize:
    """A network for images of any size.

    Attributes:
        network: keras.Model from `[B,H,W,C]` to `[B,h,w,c]`, with the layers and weights of the original.
        axes: pair of `Axis`, for height and width.
    """

    network: keras.Model
    axes: tuple[Axis, Axis]

    @property
    def multiples(self) -> tuple[int, int]:
        """Numbers that must divide the height and the width of the input."""
        return self.axes[0].multiple, self.axes[1].multiple


_known: weakref.WeakKeyDictionary[keras.layers.Layer, AnySize | str] = weakref.WeakKeyDictionary()


def any_size(network: keras.layers.Layer) -> AnySize:
    """The same network, with the same weights, for images of any size that its strides divide.

    Args:
        network: a functional or sequential keras model from `[B,H,W,C]` to `[B,h,w,c]`, of convolutions with zero
            padding ("same"), poolings, upsamplings, and layers that compute each pixel alone.

    Returns:
        `AnySize`, the same object at each call.

    Raises:
        ValueError: for another network; the message names the layer.

    Example:
        >>> encoder = zoo.networks.residual_encoder((32, 32, 3), code_dim=64)
        >>> zoo.networks.any_size(encoder).network.output_shape
        (None, None, None, 64)
        >>> zoo.networks.any_size(encoder).axes[0].inputs(0, 0)  # the pixels that the first code depends on
        (-15, 18)
    """
    found = reason(network)
    if found is not None:
        checks.fail("network", "one of convolutions, which takes images of any size", found)
    known = _known[network]
    assert isinstance(known, AnySize)
    return known


def reason(network: keras.layers.Layer) -> str | None:
    """Why a network takes images of its own size alone; None if it takes any."""
    if network not in _known:
        with tf.init_scope():  # the layers must not become a part of a graph that is being traced
            try:
                _known[network] = _convert(network)
            except _Fixed as error:
                _known[network] = str(error)
    known = _known[network]
    return known if isinstance(known, str) else None


class _Fixed(Exception):
    """A layer fixes the size of the image, or its receptive field is unknown."""


def _convert(network):
    shape = getattr(network, "input_shape", None)
    if not isinstance(network, keras.Model) or not isinstance(shape, tuple) or len(shape) != 4:
        raise _Fixed(f"a {type(network).__name__} that is no functional model of images")
    fields: dict[int, tuple[Axis, Axis]] = {}
    kept: list[Tensor] = []  # so that no id is given twice

    def apply(layer, *args, **kwargs):
        given = [fields[id(tensor)] for tensor in keras.tree.flatten(args) if id(tensor) in fields]
        axes = _after(layer, given)
        output = layer(*args, **{name: value for name, value in kwargs.items() if name != "training"})
        kept.append(output)
        fields[id(output)] = axes
        return output

    start = keras.Input((None, None, shape[-1]), dtype=network.inputs[0].dtype)
    fields[id(start)] = (Axis(), Axis())
    if isinstance(network, keras.Sequential):
        end = start
        for layer in network.layers:
            end = apply(layer, end)
        made = keras.Model(start, end, name=network.name)
    else:
        inputs = keras.tree.pack_sequence_as(network.input, [start])
        made = keras.models.clone_model(network, inputs, clone_function=lambda layer: layer, call_function=apply)
    if len(made.outputs) != 1 or id(made.outputs[0]) not in fields:
        raise _Fixed(f"a network of {len(made.outputs)} outputs")
    return AnySize(made, fields[id(made.outputs[0])])


def _after(layer: Any, given: list[tuple[Axis, Axis]]) -> tuple[Axis, Axis]:
    """The receptive fields behind a layer, from those of its inputs."""
    if not given or getattr(layer, "data_format", "channels_last") != "channels_last":
        raise _Fixed(f"a layer {layer.name} that takes no channels_last image")
    if type(layer) in _MERGING:
        return _merge(layer, given)
    (axes,) = given[:1]
    if type(layer) in _POINTWISE:
        if getattr(layer, "axis", -1) not in (-1, [-1], 3, [3]):
            raise _Fixed(f"a layer {layer.name} over other axes than the channels")
        return axes
    if type(layer) in _CONVOLUTIONS:
        sizes = [(size - 1) * rate + 1 for size, rate in zip(layer.kernel_size, layer.dilation_rate)]
        return _windows(layer, axes, sizes)
    if type(layer) in _POOLING:
        return _windows(layer, axes, layer.pool_size)
    if type(layer) is layers.Conv2DTranspose:
        if layer.padding != "same" or layer.output_padding is not None or set(layer.dilation_rate) != {1}:
            raise _Fixed(f"a layer {layer.name} with another padding than 'same', or dilated")
        both = [axis.transposed(*each) for axis, *each in zip(axes, layer.kernel_size, layer.strides)]
    elif type(layer) is layers.UpSampling2D:
        if layer.interpolation not in ("nearest", "bilinear"):
            raise _Fixed(f"a layer {layer.name} of {layer.interpolation} interpolation")
        both = [axis.enlarged(times, layer.interpolation == "bilinear") for axis, times in zip(axes, layer.size)]
    else:
        raise _Fixed(f"a network with a {type(layer).__name__}, {layer.name}")
    return both[0], both[1]


def _merge(layer, given):
    if getattr(layer, "axis", -1) not in (-1, 3):
        raise _Fixed(f"a layer {layer.name} over other axes than the channels")
    first = given[0]
    for other in given[1:]:
        if [axis.stride for axis in other] != [axis.stride for axis in first]:
            raise _Fixed(f"a layer {layer.name} of grids with different strides")
        first = (first[0].merged(other[0]), first[1].merged(other[1]))
    return first


def _windows(layer, axes, sizes):
    steps = layer.strides
    if layer.padding != "same" and any(size > step for size, step in zip(sizes, steps)):
        raise _Fixed(f"a layer {layer.name} with another padding than 'same'")
    both = [axis.window(size, step) for axis, size, step in zip(axes, sizes, steps)]
    return both[0], both[1]
