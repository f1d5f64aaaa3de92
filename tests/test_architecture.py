"""Imports point one way, and `import zoo` stays light."""

import ast
import functools
import pathlib
import re
import subprocess
import sys

import keras
import pytest

import zoo

ROOT = pathlib.Path(zoo.__file__).parent
# Each module may import from levels above its own, and from its own package.
LEVELS = [
    {"_compat"},
    {"runtime"},
    {"random", "distributions", "callbacks", "spectra"},
    {"layers", "likelihoods", "fitting"},
    {"quantizers", "networks"},
    {"priors", "export"},
    {"models"},
    {"evaluation", "applications", "codec"},
    {"presets"},
    {"training"},
    {"cli"},
    {"__main__"},
]
ALONE = {"data"}  # of the rest it may import the first two levels only


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
        allowed = {own} | LEVELS[0] | LEVELS[1]
    else:
        level = next(number for number, units in enumerate(LEVELS) if own in units)
        allowed = {own}.union(*LEVELS[:level]) | (ALONE if own in ("applications", "training", "cli") else set())
    assert set(imported_units(path)) <= allowed


PRIVATE = re.compile(r"_[^_]\w*$")
NAMED_TUPLES = {"_asdict", "_replace", "_fields", "_make"}
PRIVATE_PACKAGES = ("tensorflow.python", "tensorflow.lite.python", "tensorflow.lite.tools", "keras.src")
WITHOUT_COMPAT = [path for path in MODULES if unit(path) != "_compat"]
SCRIPTS = [path for folder in ("recipes", "benchmarks", "examples") for path in ROOT.parent.glob(f"{folder}/**/*.py")]


def private_uses(tree):
    """Private names that are got by a dot, by `getattr` and the like, or imported, and those of methods, with lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) in ("getattr", "setattr", "hasattr"):
            names = [each.value for each in node.args[1:2] if isinstance(each, ast.Constant)]
        elif isinstance(node, ast.ClassDef):
            names = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
        else:
            continue
        yield from ((node.lineno, name) for name in names if PRIVATE.match(str(name)) and name not in NAMED_TUPLES)


def own_names(tree):
    """The names that a module defines: of functions, classes, methods, attributes and fields."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if getattr(node.value, "id", None) in ("self", "cls"):
                yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):  # of `object.__setattr__`
            yield node.value


@functools.cache
def names_of_zoo():
    """The names that zoo defines outside `_compat`, and those of its modules."""
    found = {"_compat", *(path.stem for path in WITHOUT_COMPAT)}
    return found.union(*(own_names(ast.parse(path.read_text())) for path in WITHOUT_COMPAT))


@functools.cache
def names_of_keras():
    """The private names of Keras's classes, and of what they keep in themselves."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    objects = (model, *model.layers, model.optimizer, keras.metrics.Mean(), keras.callbacks.Callback())
    return {name for each in objects for name in {*dir(each), *vars(each)} if PRIVATE.match(name)}


@pytest.mark.parametrize("path", [*WITHOUT_COMPAT, *SCRIPTS], ids=lambda path: str(path.relative_to(ROOT.parent)))
def test_private_parts_of_other_libraries_are_used_in_compat_alone(path):
    """A private name is one that zoo defines, and no name of Keras's, as a class of zoo may derive from Keras's."""
    tree = ast.parse(path.read_text())
    uses, known = set(private_uses(tree)), names_of_zoo().union(own_names(tree))
    assert {(line, name) for line, name in uses if name not in known} == set()
    assert {(line, name) for line, name in uses if name in names_of_keras()} == set()
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [module for module in modules if module.startswith(PRIVATE_PACKAGES)]


@pytest.mark.parametrize(
    "code",
    [
        "dataset._cardinality //= 2",
        "getattr(leaf, '_value_specs', None)",
        "from tensorflow.python.util import _pywrap_util_port",
        "class Model:\n    def _autoconvert_optionals(self, step): ...",
        "class Model:\n    def train_step(self): return self._compile_metrics",
    ],
)
def test_private_parts_are_seen_in_every_form(code):
    uses = {name for _, name in private_uses(ast.parse(code))}
    assert uses and (uses - names_of_zoo() or uses & names_of_keras())


@pytest.mark.slow  # tests/recipes/test_recipes.py runs a recipe in a shell: the first line is its own, stderr is empty
def test_importing_zoo_says_nothing():
    done = subprocess.run([sys.executable, "-c", "import zoo"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.long
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
