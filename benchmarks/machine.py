"""The machine and the versions behind a figure: the line that each page begins with."""

import os
import platform

from zoo._compat import tensorflow as tf_compat
from zoo.runtime import startup

import tensorflow as tf


def line():
    """Machine, CPU and versions, for behind "Made by … on".

    As in: x86_64, 2 CPUs (AMD EPYC, AVX-512); Python 3.11.7, TensorFlow 2.21.0, oneDNN on
    """
    return (
        f"{platform.machine()}, {os.cpu_count()} CPUs ({cpu()}); Python {platform.python_version()}, "
        f"TensorFlow {tf.__version__}, oneDNN {onednn()}"
    )


def cpu():
    """Model and widest vectors of the CPU, as far as they can be read."""
    flags = startup.cpu_flags()
    widest = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2" if flags else ""
    return ", ".join(filter(None, [startup.cpu_model() or platform.processor(), widest])) or "unknown"


def onednn():
    """ "on" or "off" in this process, and the instructions that it is held to, if any."""
    if not tf_compat.onednn_is_on():
        return "off"
    held = os.environ.get("ONEDNN_MAX_CPU_ISA")
    return f"on, held to {held}" if held else "on"
