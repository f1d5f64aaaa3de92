"""The Python of the pages in docs/ runs as it stands, and their commands are ones that the command line takes."""

import dataclasses
import importlib
import pathlib
import re
import shlex

import pytest

import zoo
from zoo import cli, data

DOCS = pathlib.Path(zoo.__file__).parents[1] / "docs"
PAGES = (
    *("anomaly", "denoising", "exploration", "generation", "imputation", "interpolation", "representation"),
    "style_transfer",
)


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", (DOCS / f"{page}.md").read_text(), re.MULTILINE | re.DOTALL)


def commands(page):
    lines = re.findall(r"^    (python -m zoo .*)$", (DOCS / f"{page}.md").read_text(), re.MULTILINE)
    return [shlex.split(line)[3:] for line in lines]


@pytest.fixture
def few_images(monkeypatch):
    """`data.load` gives 60 test images, for speed."""
    whole = data.load("mnist", sample=True)
    part = data.Images(whole.test.images[:60], whole.test.labels[:60])
    monkeypatch.setattr(data, "load", lambda name, sample: dataclasses.replace(whole, test=part))


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch, few_images):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    assert blocks(page)
    for block in blocks(page):
        exec(compile(block, f"{page}.md", "exec"), namespace)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_are_taken(page):
    modules = {name: importlib.import_module(f"zoo.cli.{name}") for name in cli.COMMANDS}
    assert commands(page)
    for words in commands(page):
        assert cli._parser(modules).parse_args(words).run is modules[words[0]].run


@pytest.mark.parametrize("page", PAGES)
def test_the_pictures_of_a_page_are_there(page):
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (DOCS / f"{page}.md").read_text())
    assert pictures and all((DOCS / picture).is_file() for picture in pictures)
