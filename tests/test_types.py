"""Everything public in zoo has types: each argument and each result of its functions and methods.

mypy, which `.ci/run` calls, checks that the types agree with the code.
"""

import ast
import pathlib

import pytest

import zoo

ROOT = pathlib.Path(zoo.__file__).parent
PRIVATE = "_compat"
# What Keras takes is Keras's to describe; only what is passed on to it may be anything.
PASSED_ON = ("args", "kwargs")

MODULES = [path for path in sorted(ROOT.rglob("*.py")) if path.relative_to(ROOT).parts[0] != PRIVATE]


def is_public(name):
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


def public_functions(body, is_method=False):
    """(function, is_method) of what a module defines, but for functions inside functions."""
    for node in body:
        if isinstance(node, ast.ClassDef) and is_public(node.name):
            yield from public_functions(node.body, is_method=True)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and is_public(node.name):
            yield node, is_method


def arguments_of(function, is_method):
    arguments = function.args
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    found += [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    is_static = any(getattr(decorator, "id", None) == "staticmethod" for decorator in function.decorator_list)
    return found[1:] if is_method and not is_static else found


def untyped(source):
    """What a module lacks: "line: function(argument)" or "line: function()" without the type of its result."""
    for function, is_method in public_functions(ast.parse(source).body):
        place = f"line {function.lineno}: {function.name}"
        for argument in arguments_of(function, is_method):
            is_any = isinstance(argument.annotation, ast.Name) and argument.annotation.id == "Any"
            if argument.annotation is None or (is_any and argument.arg not in PASSED_ON):
                yield f"{place}({argument.arg})"
        if function.returns is None:
            yield f"{place}()"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_functions_have_types(path):
    assert list(untyped(path.read_text())) == []


def test_a_type_that_is_missing_is_found():
    source = """
def whole(a: int, *rest: int, b: str = "", **kwargs: Any) -> None: ...
def function(a, *rest, b=1, **others): ...
def anything(a: Any) -> None: ...
def _private(a): ...
class Public:
    def __init__(self, a): ...
    def _private(self, a): ...
    @staticmethod
    def alone(a) -> int: ...
class _Private:
    def method(self, a): ...
"""
    found = [one.split(": ")[1] for one in untyped(source)]
    assert found == [
        "function(a)", "function(b)", "function(rest)", "function(others)", "function()", "anything(a)",
        "__init__(a)", "__init__()", "alone(a)",
    ]  # fmt: skip


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "py.typed").exists()
