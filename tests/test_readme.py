"""README.md's Python runs as it stands and gives what its comments say; its commands are ones that the recipes take."""

import ast
import importlib.util
import io
import pathlib
import re
import shlex
import tokenize

import numpy as np
import pytest

import zoo
from zoo import data, networks
from zoo.training import flags as flags_of_runs

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
# The only changes that are made to the blocks, for speed. Each must be found, or it is out of date.
FASTER = {
    "splits.train.images / 255.0, batch_size=64, epochs=5": "splits.train.images[:64] / 255.0, batch_size=64, epochs=1",
    "conv_encoder((28, 28, 1), latent_dim=16)": "conv_encoder((28, 28, 1), latent_dim=16, filters=(8, 8), dense=16)",
    "conv_decoder((28, 28, 1), latent_dim=16)": "conv_decoder((28, 28, 1), latent_dim=16, filters=(8, 8), dense=16)",
    "couplings=4, hidden=64": "couplings=2, hidden=8",
    "grid_shape=(8, 8))": "grid_shape=(8, 8), width=16, depth=1)",
    "batch_size=64, epochs=20": "batch_size=64, epochs=1",
    "num_samples=100": "num_samples=3",
}
NUMBER = 32  # of the `images` that a block takes for granted


@pytest.fixture(scope="module")
def taken_for_granted():
    """What blocks use without making it: real colour images, and a VQ-VAE of 8×8 codes out of 512 for them."""
    encoder = networks.residual_encoder((32, 32, 3), 64, 8, blocks=1)
    decoder = networks.residual_decoder((8, 8, 64), 3, 8, blocks=1)
    images = data.load("cifar10", sample=True).test.images[:NUMBER] / np.float32(255)
    return {"images": images, "vq_vae": zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(512, 64, seed=0))}


def statements(block):
    """Each statement of a block with the comments in its lines."""
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(block).readline)
        if token.type == tokenize.COMMENT
    }
    for node in ast.parse(block).body:
        lines = range(node.lineno, node.end_lineno + 1)
        yield node, " ".join(comments[line] for line in lines if line in comments)


def run(node, namespace):
    """Runs a statement; gives the value of an expression, or of what was assigned."""
    if isinstance(node, ast.Expr):
        return eval(compile(ast.Expression(node.value), "README.md", "eval"), namespace)
    exec(compile(ast.Module([node], []), "README.md", "exec"), namespace)
    simple = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    return namespace[node.targets[0].id] if simple else None


def check_claim(comment, node, value, namespace):
    """Holds a comment's claim against the value of its statement; gives whether there was one to be held."""
    shape = re.match(r"(?:(int32|float32) )?\[([^\]]*)\]( in \[0, 1\])?", comment)
    if shape:
        dtype, sizes, bounded = shape.groups()
        value = np.asarray(value)
        assert value.shape == tuple(NUMBER if size == "N" else int(size) for size in sizes.split(", ")), comment
        assert value.dtype == (dtype or "float32"), comment
        assert np.all(np.isfinite(value)) and (not bounded or (value.min() >= 0 and value.max() <= 1)), comment
    same = re.match(r"the same (\d+) images each time", comment)
    if same:
        assert len(value) == int(same[1])
        np.testing.assert_array_equal(value, run(node, namespace))
    version = re.search(r"in the next free version: (\S+)", comment)
    if version:
        assert value == pathlib.Path(version[1])
    return bool(shape or same or version)


def test_python_runs_as_it_stands_and_gives_what_its_comments_say(taken_for_granted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = dict(taken_for_granted)
    code = "\n".join(BLOCKS)
    assert all(slow in code for slow in FASTER)
    claims = []
    for block in BLOCKS:
        for slow, fast in FASTER.items():
            block = block.replace(slow, fast)
        for node, comment in statements(block):
            value = run(node, namespace)
            if check_claim(comment, node, value, namespace):
                claims.append(comment)
            if "export.check" in ast.unparse(node):
                assert value and all(row["passed"] for row in value)
    assert len(claims) >= 6, claims
    assert {path.name for path in tmp_path.iterdir()} >= {"vae.keras", "digits", "digits.tflite", "digits_int8.tflite"}


def recipe(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "recipes" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main.recipe


# As in "python recipes/mnist_vae.py --epochs 10   # a comment", or between backticks in the table of results.
COMMANDS = re.findall(r"(?:python |`)recipes/(\w+)\.py([^\n`#&]*)", README)
OWN = {"classifier"}  # a script with flags of its own
# The data of recipes that have no default, for commands that leave them out.
REQUIRED = {"image_folder_vqvae": ("--images", "DIR")} | dict.fromkeys(
    ("series_vae", "table_vae", "text_vae"), ("--sample",)
)
COMMANDS = sorted({(name, flags.strip()) for name, flags in COMMANDS if name not in OWN})


def test_commands_are_found():
    assert len(COMMANDS) >= 8
    assert ("cifar10_vqvae", "--sample") in COMMANDS


@pytest.mark.parametrize("name, flags", COMMANDS, ids=lambda value: value or "alone")
def test_command_is_one_that_the_recipe_takes(name, flags, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    required = () if flags else REQUIRED.get(name, ())
    recorded = flags_of_runs.parse(recipe(name), [*shlex.split(flags), *required]).records.all
    for flag in re.findall(r"--([\w-]+)", flags):
        assert recorded[flag.replace("-", "_")] is not None


def flags_of(text):
    return set(re.findall(r"`(--[\w-]+)`", text))


def options(name):
    return set(flags_of_runs.parser(recipe(name))._option_string_actions)


def test_flags_that_all_recipes_share_are_shared():
    scripts = sorted({path.stem for path in (ROOT / "recipes").glob("*.py")} - OWN)
    shared = flags_of(re.search(r"All share (.*?);", README, re.DOTALL)[1])
    assert len(shared) >= 10
    for name in scripts:
        assert shared <= options(name), name
    section = README.partition("\n## Recipes\n")[2].partition("\n## ")[0]
    assert flags_of(section) <= set().union(*map(options, scripts))
