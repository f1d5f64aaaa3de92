"""oneDNN is on wherever it is faster, unless the user says otherwise."""

import ast
import io
import os
import pathlib
import subprocess
import sys
import warnings

import pytest

from zoo.runtime import startup

ROOT = pathlib.Path(__file__).parents[2]
AVX2 = "processor\t: 0\nmodel name\t: Old CPU\nflags\t\t: fpu sse4_2 avx avx2 fma\n"
VNNI = "processor\t: 0\nmodel name\t: New CPU\nflags\t\t: fpu avx avx2 avx512f avx512_vnni\n"
AVX = "processor\t: 0\nmodel name\t: Ancient CPU\nflags\t\t: fpu sse4_2 avx\n"
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd avx2\n"  # the last as a trap


@pytest.fixture
def turn_on(monkeypatch, tmp_path):
    """Function of what /proc/cpuinfo says, or None where there is none, that gives the variable afterwards."""

    def turn_on(cpuinfo, given=None, imported=False):
        path = tmp_path / "cpuinfo"
        if cpuinfo is not None:
            path.write_text(cpuinfo)
        monkeypatch.setattr(startup, "CPUINFO", path)
        monkeypatch.setenv(startup.ONEDNN, given or "")  # in any case, so that it is restored
        if given is None:
            monkeypatch.delenv(startup.ONEDNN)
        if not imported:
            monkeypatch.delitem(sys.modules, "tensorflow")
        startup.turn_onednn_on()
        return os.environ.get(startup.ONEDNN)

    return turn_on


@pytest.mark.parametrize("cpuinfo", [AVX2, VNNI])
def test_it_is_turned_on_where_there_is_avx2(turn_on, cpuinfo):
    assert turn_on(cpuinfo) == "1"


@pytest.mark.parametrize("cpuinfo", [AVX, ARM, "", None])
def test_other_cpus_and_those_that_cannot_be_read_are_left_to_tensorflow(turn_on, cpuinfo):
    assert turn_on(cpuinfo) is None


@pytest.mark.parametrize("given", ["0", "1", ""])
def test_what_the_user_set_stays(turn_on, given):
    assert turn_on(AVX2, given) == given


def test_too_late_is_said_where_it_matters(turn_on):
    with pytest.warns(UserWarning, match="imported before zoo, too late .* Import zoo before keras and tensorflow"):
        assert turn_on(AVX2, imported=True) is None


@pytest.mark.parametrize("cpuinfo, given", [(AVX2, "0"), (AVX2, "1"), (VNNI, None), (AVX, None), (None, None)])
def test_too_late_is_not_said_where_it_makes_no_difference(turn_on, cpuinfo, given):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert turn_on(cpuinfo, given, imported=True) == given


def test_the_variable_is_there_before_keras_and_tensorflow_are():
    code = """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("keras", "tensorflow"):
            print(os.environ.get("TF_ENABLE_ONEDNN_OPTS"), flush=True)
            os._exit(0)

os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
sys.meta_path.insert(0, Watch())
import zoo
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ("1" if "avx2" in startup.cpu_flags() else "None")


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("recipes/*.py"), *ROOT.glob("benchmarks/*.py")]), ids=lambda path: path.name
)
def test_scripts_import_zoo_before_keras_and_tensorflow(path):
    imports = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imports += [(node.lineno, alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.lineno, (node.module or "").split(".")[0]))
    known = [name for _, name in sorted(imports) if name in ("zoo", "keras", "tensorflow", "contenders", "machine")]
    if path.name == "startup.py":  # it times Keras and TensorFlow alone, and turns oneDNN on by hand
        assert "turn_onednn_on" in path.read_text()
    else:
        assert known[:1] in ([], ["zoo"], ["machine"])


def test_characters_that_the_terminal_lacks_are_written_as_numbers(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252"))
    startup.print_all_characters()
    print("\N{GREEK SMALL LETTER BETA} = 4 \N{PLUS-MINUS SIGN} 1", flush=True)
    assert raw.getvalue() == b"\\u03b2 = 4 \xb1 1" + os.linesep.encode()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    startup.print_all_characters()  # a stream without an encoding stays as it is
