"""Every use of a private API of Keras, TensorFlow, TFLite, tf2onnx and TFDS, and every workaround: see README.md.

Import the module that is needed. This file imports nothing, as `zoo._compat.startup` must work before TensorFlow does.
"""
