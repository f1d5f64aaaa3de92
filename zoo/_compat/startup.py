"""Facts about TensorFlow's start that it does not document. Only the standard library is imported here."""

import re

# Level and source of a log line: I0000 00:00:1795191041.751470 1872 port.cc:153] …
_LOG_LINE = re.compile(r"^([IWEF])\d{4} [\d:.]+\s+\d+ (\S+)\]")
# Lines that TensorFlow prints on machines where nothing is amiss.
_HARMLESS = re.compile(
    r"All log messages before absl::InitializeLog|^To enable the following instructions|failed call to cuInit"
    r"|Created TensorFlow Lite XNNPACK delegate"
)
_ONEDNN_ON = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}


def log_line_matters(line):
    """Whether a line that TensorFlow's C++ side wrote to stderr says that something is wrong.

    Private: the layout of absl's log lines and the words of harmless ones, as of TensorFlow 2.21.0.
    Why: TensorFlow logs before it calls `absl::InitializeLog`, and until then no level set by TF_CPP_MIN_LOG_LEVEL is
        looked at. So `zoo.runtime.startup.quiet` must filter lines at the file descriptor.
    Upstream: https://github.com/abseil/abseil-cpp/pull/1957 (open),
        https://github.com/tensorflow/tensorflow/pull/102212 (closed).
    Once mended: set TF_CPP_MIN_LOG_LEVEL in `zoo.runtime.startup`, and remove `quiet` and this function.
    """
    level = _LOG_LINE.match(line)
    return not _HARMLESS.search(line) and (level is None or level[1] in "EF")


def turns_onednn_on_itself(cpu_flags):
    """Whether TensorFlow uses oneDNN on a CPU with these instruction sets when it is not told to.

    Private: `DefaultOneDnnPolicy` in tensorflow/core/util/port.cc, as of TensorFlow 2.21.0; it cannot be asked.
    Why: a warning that zoo was imported too late would be wrong on a CPU that has oneDNN on anyway.
    Upstream: https://github.com/tensorflow/tensorflow/issues/17176 asks for a way to find out (closed, none was added).
    Once mended: ask TensorFlow.
    """
    return bool(set(cpu_flags) & _ONEDNN_ON)
