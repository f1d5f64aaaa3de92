"""The README of zoo._compat lists every function with a canary that exists."""

import ast
import pathlib
import re

import pytest

import zoo

FOLDER = pathlib.Path(zoo.__file__).parent / "_compat"
ROWS = [row.split("|")[1:-1] for row in (FOLDER / "README.md").read_text().splitlines() if row.startswith("| `")]
CANARIES = {
    node.name: node
    for path in pathlib.Path(__file__).parent.glob("test_*.py")
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.FunctionDef)
}


def public_functions():
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Private"):
                methods = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
                yield from (f"{path.stem}.{node.name}.{name}" for name in methods if not name.startswith("_"))
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                yield f"{path.stem}.{node.name}"


def test_every_function_has_a_row():
    listed = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row[0])}
    assert set(public_functions()) <= listed


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip() for row in ROWS])
def test_every_row_has_canaries_that_exist(row):
    canaries = re.findall(r"`([^`]+)`", row[-1])
    assert canaries and set(canaries) <= set(CANARIES)
    slow = {name for name in canaries if "pytest.mark.slow" in map(ast.unparse, CANARIES[name].decorator_list)}
    assert {name for name in canaries if f"`{name}` (slow)" in row[-1]} == slow
