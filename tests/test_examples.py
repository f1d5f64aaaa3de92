"""Every `>>>` example in the docstrings of zoo runs and gives what it shows.

An example starts with the names below, in an empty working directory. Output is compared where the docstring shows
some, with any whitespace, and `...` or `…` for anything; a line without output must run. `fit` takes one epoch,
whatever an example says, and runs its few steps without tracing a graph, which would take most of the time.
"""

import ast
import doctest
import functools
import importlib
import inspect
import pathlib
import pkgutil
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import networks

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# Their examples have colour images, and `model` is a VQ-VAE.
ABOUT_CODES = ("zoo.models.vq_vae", "zoo.priors.codes")
# Their examples have clips, and `model` predicts frames.
ABOUT_CLIPS = ("zoo.models.future_vae", "zoo.applications.video", "zoo.evaluation.video", "zoo.priors.latents.cond")


def modules():
    names = (module.name for module in pkgutil.walk_packages(zoo.__path__, "zoo."))
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


@functools.cache
def examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = {test.name: test for module in modules() for test in finder.find(module) if test.examples}
    return dict(sorted(found.items()))


def a_vae():
    """The encoder, decoder and compiled model of most examples: 28×28 images, 16 latents."""
    encoder = networks.mlp_encoder((28, 28, 1), latent_dim=16, hidden=(32,))
    decoder = networks.mlp_decoder((28, 28, 1), latent_dim=16, hidden=(32,))
    model = zoo.VAE(encoder, decoder, seed=0)
    model.compile("adam")
    return {"encoder": encoder, "decoder": decoder, "model": model}


def a_vq_vae():
    """A compiled VQ-VAE of 32×32 colour images, with 8×8 of 512 codes."""
    encoder = networks.residual_encoder((32, 32, 3), code_dim=8, filters=8, blocks=1)
    decoder = networks.residual_decoder((8, 8, 8), params=3, filters=8, blocks=1)
    model = zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(512, 8, seed=0))
    model.compile("adam")
    return {"encoder": encoder, "decoder": decoder, "model": model}


def a_future_vae():
    """A model of 6 frames of 32×32 given 4, and clips of 10."""
    past = networks.clip_features((4, 32, 32, 1), features=2, filters=4, blocks=0)
    encoder = networks.clip_encoder((10, 32, 32, 1), latent_dim=2, filters=(4,), dense=4)
    decoder = networks.clip_decoder((8, 8, 4), (6, 32, 32, 1), filters=4, blocks=0)
    clips = np.random.default_rng(0).integers(0, 2, (8, 10, 32, 32, 1)).astype(np.float32)
    return {"model": zoo.FutureVAE(encoder, decoder, past, seed=0), "clips": clips}


def namespace(module, source):
    """What an example finds: `zoo`, `np`, `keras`, `tf`, `images`, `labels`, `encoder`, `decoder`, `model`.

    The last three are made for a source that names one of them.
    """
    draw = np.random.default_rng(0)
    codes = module.startswith(ABOUT_CODES)
    grey_levels = draw.integers(0, 256, (32, 32, 32, 3) if codes else (32, 28, 28, 1))
    named = re.search(r"\b(encoder|decoder|model)\b", source)
    return {
        "zoo": zoo,
        "np": np,
        "keras": keras,
        "tf": tf,
        "images": (grey_levels / 255).astype(np.float32),
        "labels": draw.integers(0, 10, 32).astype(np.int32),
        **((a_vq_vae() if codes else a_vae()) if named else {}),
        **(a_future_vae() if module.startswith(ABOUT_CLIPS) else {}),
    }


class Checker(doctest.OutputChecker):
    def check_output(self, want, got, optionflags):
        return not want or super().check_output(want.replace("…", "..."), got, optionflags)


@pytest.fixture
def quick_fit(monkeypatch):
    fit = keras.Model.fit
    arguments = inspect.signature(fit)

    def quick(*args, **kwargs):
        bound = arguments.bind(*args, **kwargs)
        bound.arguments["epochs"] = 1
        model = bound.arguments["self"]
        model.run_eagerly = not model.jit_compile
        return fit(*bound.args, **bound.kwargs)

    monkeypatch.setattr(keras.Model, "fit", quick)


# They take the longest, and other tests run what they show: README.md, a page of docs/, or the tests of their module.
SLOW = (
    "zoo.applications.imputation.impute_interval", "zoo.applications.imputation.impute_with_residuals",
    "zoo.applications.series.series_vae", "zoo.applications.style_transfer.mix_levels",
    "zoo.applications.style_transfer.vary_levels", "zoo.applications.tables.TableModel",
    "zoo.applications.texts.TextModel", "zoo.codec._archive.compress", "zoo.evaluation.quality.sample_quality",
    "zoo.export.exporter.export", "zoo.models.vaeac.VAEAC", "zoo.models.vq_vae.VQVAE", "zoo.presets.saving.save_preset",
    "zoo.priors.codes.transformer.Transformer",
)  # fmt: skip
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in examples()]


def test_the_slow_examples_are_there():
    assert {*SLOW} <= {*examples()}


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_and_gives_what_it_shows(name, tmp_path, monkeypatch, quick_fit):
    monkeypatch.chdir(tmp_path)
    test = examples()[name]
    source = "".join(example.source for example in test.examples)
    test.globs = namespace(test.globs["__name__"], source)
    log = []
    failed, _ = doctest.DocTestRunner(Checker(), verbose=False, optionflags=FLAGS).run(test, out=log.append)
    assert not failed, "".join(log)


def test_no_example_is_missed_or_skipped():
    """The finder does not see docstrings of variables, or of functions inside functions."""
    in_docstrings = 0
    for path in pathlib.Path(zoo.__file__).parent.rglob("*.py"):
        source = path.read_text()
        assert "doctest: +SKIP" not in source
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                in_docstrings += (ast.get_docstring(node) or "").count(">>> ")
    assert in_docstrings == sum(len(test.examples) for test in examples().values())
