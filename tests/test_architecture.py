"""Imports point one way, and `import zoo` stays light."""

import ast
import pathlib
import subprocess
import sys

import pytest

import zoo

ROOT = pathlib.Path(zoo.__file__).parent
# Each module may import from levels above its own, and from its own package.
LEVELS = [
    {"runtime"},
    {"random", "distributions", "callbacks"},
    {"layers", "likelihoods", "fitting"},
    {"quantizers", "networks"},
    {"priors", "export"},
    {"models"},
    {"evaluation", "applications"},
    {"training"},
]
ALONE = {"data"}  # of the rest it may import the first level only


def unit(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_units(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "zoo":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zoo."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("zoo."))


MODULES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    own = unit(path)
    if own in ALONE:
        allowed = {own} | LEVELS[0]
    else:
        level = next(number for number, units in enumerate(LEVELS) if own in units)
        allowed = {own}.union(*LEVELS[:level]) | (ALONE if own == "training" else set())
    assert set(imported_units(path)) <= allowed


def test_importing_zoo_says_nothing():
    done = subprocess.run([sys.executable, "-c", "import zoo"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_importing_zoo_imports_little_beyond_tensorflow_and_keras():
    """Datasets, the tools of exports and the like wait until they are used; Keras itself brings matplotlib."""
    code = (
        "import sys, tensorflow, keras\n"
        "def packages(): return {name.split('.')[0] for name in sys.modules} - {*sys.stdlib_module_names}\n"
        "before = packages()\n"
        "import zoo\n"
        "print(*packages() - before)\n"
        "from zoo import training, evaluation, applications, data\n"
        "print(*packages() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [set(line.split()) for line in done.stdout.splitlines()] == [{"zoo"}, {"zoo"}]


def test_another_keras_backend_is_refused_with_the_way_on(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    done = subprocess.run([sys.executable, "-c", "import zoo"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Expected the Keras backend to be 'tensorflow'. Received: KERAS_BACKEND='jax'" in done.stderr


def test_parts_of_zoo_that_wait_are_there_when_they_are_asked_for():
    for name in ("applications", "data", "evaluation", "training"):
        assert getattr(zoo, name).__name__ == f"zoo.{name}"
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'vae'"):
        _ = zoo.vae
