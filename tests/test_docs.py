"""The Python of the pages in docs/ runs as it stands; their commands, names, pictures and links are ones that exist."""

import ast
import dataclasses
import functools
import importlib
import json
import pathlib
import re
import shlex
import types

import pytest
import yaml

import zoo
from zoo import cli, data

ROOT = pathlib.Path(zoo.__file__).parents[1]
DOCS = ROOT / "docs"
SHOWN = (  # a page for each use
    *("anomaly", "denoising", "exploration", "generation", "imputation", "interpolation", "representation"),
    *("style_transfer", "series", "sound", "tables", "text", "augmentation"),
)
PAGES = ("index", "codec", "kl_weight", "large_pictures", "shards", "sharp", "video", *SHOWN)
FILES = sorted([ROOT / "README.md", *DOCS.glob("*.md")])
OUTPUT = r"--(?:output|html) (\S+)"  # the argument of a command that names what it writes
PACKAGES = sorted(["models", *(set(zoo._MODULES) - {"distributions"})])


def blocks(path):
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def commands(path):
    """The words after `python -m zoo` in lines of code and between backticks; a bare `python -m zoo` has none."""
    text = path.read_text()
    found = re.findall(r"^(?: {4}|\$ )?python -m zoo (.*)$", text, re.MULTILINE)
    found += re.findall(r"`(?:python -m zoo|vae-zoo) ([^`…]+)`", text)
    return [shlex.split(line, comments=True) for line in found]


@functools.cache
def parser():
    return cli._parser({name: importlib.import_module(f"zoo.cli.{name}") for name in cli.COMMANDS})


@pytest.fixture
def few_images(monkeypatch):
    """`data.load` gives 60 test images, for speed; those of digits for all grey images."""
    load = data.load

    def few(name, sample):
        whole = load("cifar10" if name == "cifar10" else "mnist", sample=sample)
        part = data.Images(whole.test.images[:60], whole.test.labels[:60])
        return dataclasses.replace(whole, test=part)

    monkeypatch.setattr(data, "load", few)


# Docstrings show the same functions, which tests/test_examples.py or tests/applications run.
SLOW = (
    "anomaly", "denoising", "exploration", "imputation", "kl_weight", "large_pictures", "sharp", "sound", "text",
    "video",
)  # fmt: skip


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.slow) if page in SLOW else page for page in PAGES]
)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch, few_images):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    assert blocks(DOCS / f"{page}.md")
    for block in blocks(DOCS / f"{page}.md"):
        exec(compile(block, f"{page}.md", "exec"), namespace)


def test_every_page_with_python_is_run():
    assert {path.stem for path in DOCS.glob("*.md") if blocks(path)} == set(PAGES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_names_in_python_and_text_exist(path):
    text = path.read_text()
    for block in blocks(path):
        ast.parse(block)
    for root, attributes in re.findall(r"(?<![/\w.])(zoo|applications)((?:\.[A-Za-z_]\w*)+)", text):
        value = zoo if root == "zoo" else zoo.applications
        for name in attributes.strip(".").split("."):
            assert isinstance(value, (types.ModuleType, type)) and hasattr(value, name), f"{root}{attributes}"
            value = getattr(value, name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_commands_are_taken(path):
    found = commands(path)
    of_recipes = ("series", "sharp", "sound", "tables", "text", "video")  # whose commands are recipes
    assert found or path.stem not in ("README", *PAGES) or path.stem in of_recipes
    for words in found:
        assert parser().parse_args(words).run is importlib.import_module(f"zoo.cli.{words[0]}").run


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_pictures_and_linked_files_are_there(path):
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text())
    on_the_site = {"benchmarks": ROOT / "benchmarks"} if path.stem == "index" else {}  # tools/site_hooks.py
    missing = []
    for target in targets:
        folder, _, rest = target.partition("/")
        there = on_the_site[folder] / rest if folder in on_the_site else path.parent / target
        missing += [] if there.exists() else [target]
    assert missing == []
    assert path.stem not in SHOWN or any(target.endswith((".png", ".gif")) for target in targets)


def test_the_site_has_all_pages_and_packages():
    """`mkdocs build --strict`, which the extra `docs` installs, finds broken links; this needs no MkDocs."""
    nav = json.dumps(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    pages = set(re.findall(r'"([\w/]+\.md)"', nav))
    expected = {path.name for path in DOCS.glob("*.md")} | {f"api/{name}.md" for name in PACKAGES}
    expected |= {f"benchmarks/{path.name}" for path in (ROOT / "benchmarks").glob("*.md")}
    assert pages == expected
    for name in PACKAGES:
        assert f"\n::: zoo.{name}\n" in (DOCS / f"api/{name}.md").read_text()


def of_shipped_presets():
    """The commands that a reader can run at once, but those that serve a page until Ctrl-C."""
    presets = set(zoo.list_presets())
    found = {" ".join(words) for path in FILES for words in commands(path) if presets & set(words)}
    lines = sorted(line for line in found if "--serve" not in line and re.search(OUTPUT, line))
    return [pytest.param(line, marks=pytest.mark.data) if line.startswith("tune ") else line for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("line", of_shipped_presets())
def test_a_command_writes_its_output(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if "pictures/" in line or line.startswith("decompress"):  # which a reader has, or has made by the line before
        pictures = zoo.data.load("cifar10", sample=True).test.images[:2]
        zoo.applications.save_images("pictures", pictures.astype("float32") / 255)
    if line.startswith("decompress"):
        assert cli.main(["compress", line.split()[1], "--data", "pictures/", "--output", line.split()[2]]) == 0
    assert cli.main(line.split()) == 0
    output = tmp_path / re.search(OUTPUT, line)[1]
    assert any(output.iterdir()) if output.is_dir() else output.stat().st_size > 100
    json.loads(capsys.readouterr().out.splitlines()[-1])
