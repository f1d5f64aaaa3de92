import keras
import numpy as np
import pytest

import zoo
from zoo.priors.codes.pixelcnn import GatedLayer


def test_a_gated_layer_computes_the_papers_equation():
    keras.utils.set_random_seed(0)
    layer = GatedLayer(width=3, kernel_size=3, num_classes=2)
    draw = np.random.default_rng(0)
    above, left = draw.normal(size=(2, 1, 4, 5, 3)).astype(np.float32)
    new_above, new_left = (np.asarray(stack)[0] for stack in layer(above, left, np.int32([1])))
    kernel, bias = layer.vertical.get_weights()  # two rows by three columns
    to_vertical, to_horizontal = np.split(layer.label_vectors.get_weights()[0][1], 2)
    # At row 2, column 1: the rows 1 and 2 and the columns 0 to 2 of the vertical stack.
    vertical = np.einsum("ijc,ijcd->d", above[0, 1:3, 0:3], kernel) + bias
    feature, gate = np.split(vertical + to_vertical, 2)
    np.testing.assert_allclose(new_above[2, 1], np.tanh(feature) / (1 + np.exp(-gate)), rtol=1e-4, atol=1e-6)
    # Of the horizontal stack the columns 0 and 1, of the vertical one what it gives before its gate.
    kernel, bias = layer.horizontal.get_weights()
    across, across_bias = layer.across.get_weights()
    horizontal = np.einsum("jc,jcd->d", left[0, 2, 0:2], kernel[0]) + bias + vertical @ across[0, 0] + across_bias
    feature, gate = np.split(horizontal + to_horizontal, 2)
    out, out_bias = layer.out.get_weights()
    expected = left[0, 2, 1] + (np.tanh(feature) / (1 + np.exp(-gate))) @ out[0, 0] + out_bias
    np.testing.assert_allclose(new_left[2, 1], expected, rtol=1e-4, atol=1e-6)


def test_there_is_no_blind_spot_and_the_field_of_view_is_as_long_as_said():
    prior = zoo.priors.PixelCNN(4, (7, 7), width=8, depth=2, kernel_size=3)
    draw = np.random.default_rng(0)
    for weight in prior.trainable_weights:
        weight.assign_add(draw.normal(0, 0.3, weight.shape))
    codes = np.zeros((1, 7, 7), np.int32)
    logits = prior.logits(codes).numpy()[0]
    seen = np.zeros((7, 7), bool)  # from row 4, column 3
    for row, column in np.ndindex(7, 7):
        other = codes.copy()
        other[0, row, column] = 1
        seen[row, column] = np.abs(prior.logits(other).numpy()[0] - logits)[4, 3].max() > 1e-7
    expected = np.zeros((7, 7), bool)  # depth · (kernel_size // 2) + 1 = 3 rows up and columns to the left
    expected[1:4, 1:6] = True
    expected[4, 0:3] = True
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("kernel_size", (1, 4))
def test_kernels_are_odd(kernel_size):
    with pytest.raises(ValueError, match=f"Expected `kernel_size` to be an odd integer >= 3. .*={kernel_size}"):
        zoo.priors.PixelCNN(4, (2, 2), kernel_size=kernel_size)
