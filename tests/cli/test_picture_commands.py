"""sample, reconstruct, interpolate, traverse and explore: what they write, and what they refuse without a trace."""

import json
import os
import pathlib
import signal
import socket
import socketserver
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from zoo import applications, cli
from zoo.cli import _output
from zoo.models._base import BaseVAE
from zoo.runtime import shipped

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
LABELS = np.repeat(np.arange(3), 4).astype(np.int32)
PICTURE_COMMANDS = ("sample", "reconstruct", "interpolate", "traverse", "explore")


def vae(latents=2, classes=0):
    encoder = zoo.networks.mlp_encoder((8, 8, 1 + classes), latents, hidden=(8,))
    decoder = zoo.networks.mlp_decoder((8, 8, 1), latents + classes, hidden=(8,))
    return zoo.CVAE(encoder, decoder, classes) if classes else zoo.VAE(encoder, decoder)


def vq_vae():
    encoder = zoo.networks.residual_encoder((8, 8, 1), 3, filters=4, downsamples=1, blocks=0)
    decoder = zoo.networks.residual_decoder((4, 4, 3), 1, filters=4, upsamples=1, blocks=0)
    return zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(16, 3, seed=0))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The files of a VAE with two latents, a CVAE of three classes and a VQ-VAE without a prior, and the models."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("models")
    made = {"vae": vae(), "cvae": vae(classes=3), "vq_vae": vq_vae()}
    for name, model in made.items():
        model.save(folder / f"{name}.keras")
    np.savez(folder / "data.npz", images=IMAGES, labels=LABELS)
    np.save(folder / "images.npy", IMAGES)
    (folder / "text.png").write_text("This is not a picture.")
    (folder / "empty").mkdir()
    (folder / "shipped" / "mnist_cvae").mkdir(parents=True)
    (folder / "shipped" / "mnist_cvae" / "preset.json").write_text("{}")
    return folder, made


@pytest.fixture(scope="module")
def run(models):
    """Function of a command line that runs it in a folder of its own; `@name` is a file of `models`."""
    folder, _ = models

    def call(capsys, tmp_path, *words):
        words = [str(folder / word[1:]) if word.startswith("@") else word for word in words]
        capsys.readouterr()
        before, here = set(tmp_path.rglob("*")), os.getcwd()
        os.chdir(tmp_path)
        try:
            status = cli.main(words)
        finally:
            os.chdir(here)
        out, err = capsys.readouterr()
        return status, out, err, set(tmp_path.rglob("*")) - before

    return call


def pixels(path):
    return np.asarray(Image.open(path))


def test_sample_writes_the_samples_of_the_seed_in_a_grid(run, models, capsys, tmp_path):
    status, out, _, written = run(
        capsys, tmp_path, "sample", "@vae.keras", "--num", "6", "--seed", "7", "--columns", "3", "--scale", "1",
        "--output", "deep/samples.png",
    )  # fmt: skip
    assert status == 0 and written == {tmp_path / "deep", tmp_path / "deep/samples.png"}
    assert json.loads(out) == {"command": "sample", "output": ["deep/samples.png"], "num": 6, "seed": 7}
    expected = applications.grid(models[1]["vae"].sample(6, seed=7), 3)
    np.testing.assert_array_equal(pixels(tmp_path / "deep/samples.png"), np.round(255 * expected[..., 0]))


def test_sample_takes_labels_in_turn_and_a_column_for_each(run, models, capsys, tmp_path):
    status, *_ = run(
        capsys, tmp_path, "sample", "@cvae.keras", "--num", "4", "--seed", "0", "--labels", "2,1", "--scale", "1",
        "--temperature", "0.5", "--output", "samples.png",
    )  # fmt: skip
    assert status == 0
    images = models[1]["cvae"].sample(4, seed=0, temperature=0.5, labels=[2, 1, 2, 1])
    expected = np.round(255 * applications.grid(images, 2)[..., 0])
    np.testing.assert_array_equal(pixels(tmp_path / "samples.png"), expected)


def test_sample_fills_a_folder_with_a_picture_of_each(run, models, capsys, tmp_path):
    status, out, *_ = run(capsys, tmp_path, "sample", "@vae.keras", "--num", "3", "--seed", "1", "--output", "samples")
    assert status == 0 and json.loads(out)["output"] == ["samples"]
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["00000.png", "00001.png", "00002.png"]
    expected = np.asarray(models[1]["vae"].sample(3, seed=1))[2, ..., 0]
    np.testing.assert_array_equal(pixels(tmp_path / "samples/00002.png"), np.round(255 * expected))


def test_sample_says_the_seed_that_it_drew(run, capsys, tmp_path):
    command = ("sample", "@vae.keras", "--num", "2")
    _, out, *_ = run(capsys, tmp_path, *command, "--output", "a.png")
    run(capsys, tmp_path, *command, "--seed", str(json.loads(out)["seed"]), "--output", "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_sample_walks_through_the_latent_space(run, capsys, tmp_path):
    status, out, *_ = run(
        capsys, tmp_path, "sample", "@cvae.keras", "--walk", "3", "--steps", "2", "--labels", "1", "--seed", "0",
        "--output", "walk.gif",
    )  # fmt: skip
    assert status == 0 and json.loads(out)["frames"] == 6
    with Image.open(tmp_path / "walk.gif") as animation:
        assert animation.is_animated and animation.size == (16, 16) and animation.info["loop"] == 0


def test_sample_walks_at_the_temperature_that_is_given(run, models, capsys, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(applications, "save_animation", lambda path, frames, *_: shown.append(frames))
    words = ("--walk", "2", "--steps", "2", "--seed", "3", "--temperature", "0.5", "--output", "walk.gif")
    run(capsys, tmp_path, "sample", "@vae.keras", *words)
    np.testing.assert_array_equal(shown[0], applications.walk(models[1]["vae"], 2, 2, 3, 0.5))


def test_reconstruct_puts_originals_above_reconstructions(run, models, capsys, tmp_path):
    status, out, *_ = run(
        capsys, tmp_path, "reconstruct", "@vae.keras", "--data", "@data.npz", "--limit", "3", "--columns", "2",
        "--scale", "1", "--output", "pairs.png",
    )  # fmt: skip
    x = IMAGES[:3] / np.float32(255)
    reconstructed = np.asarray(models[1]["vae"].reconstruct(x))
    white = np.ones_like(x[:1])
    rows = [x[:2], reconstructed[:2], [x[2], *white], [reconstructed[2], *white]]
    expected = applications.grid(np.stack([np.asarray(row) for row in rows]))
    np.testing.assert_array_equal(pixels(tmp_path / "pairs.png"), np.round(255 * expected[..., 0]))
    assert status == 0 and json.loads(out)["mse"] == pytest.approx(np.square(reconstructed - x).mean(), rel=1e-4)


def test_reconstruct_by_tiles_keeps_the_size_of_each_picture(run, models, capsys, tmp_path):
    whole = {
        "a": RNG.integers(0, 256, (5, 22), dtype=np.uint8),
        "below/b": RNG.integers(0, 256, (6, 4), dtype=np.uint8),
    }
    for name, image in whole.items():
        path = tmp_path / "given" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    argv = ("reconstruct", "@vq_vae.keras", "--tiles", "8", "--data", str(tmp_path / "given"))
    assert run(capsys, tmp_path, *argv, "--output", "made")[0] == 0
    for name, image in whole.items():
        x = np.pad(image, ((0, len(image) % 2), (0, 0)), mode="edge")[None, ..., None] / np.float32(255)
        expected = applications.pictures.pixels(models[1]["vq_vae"].reconstruct(x))[0, : len(image), :, 0]
        made = np.asarray(Image.open(tmp_path / "made" / f"{name}.png"))
        assert made.shape == image.shape and np.abs(made - expected.astype(int)).max() <= 1
    status, _, error, *_ = run(capsys, tmp_path, *argv, "--output", "made.png")
    assert status == 2 and "several pictures" in error and not (tmp_path / "made.png").exists()


def test_reconstruct_decodes_with_other_labels(run, models, capsys, tmp_path):
    status, out, *_ = run(
        capsys, tmp_path, "reconstruct", "@cvae.keras", "--data", "@data.npz", "--relabel", "0", "2", "--scale", "1",
        "--limit", "5", "--output", "other.png",
    )  # fmt: skip
    x = IMAGES[:5] / np.float32(255)
    model = models[1]["cvae"]
    columns = [x, *(applications.relabel(model, x, LABELS[:5], np.full(5, label)) for label in (0, 2))]
    expected = applications.grid(np.stack(columns, axis=1))
    np.testing.assert_array_equal(pixels(tmp_path / "other.png"), np.round(255 * expected[..., 0]))
    assert status == 0 and json.loads(out)["labels"] == [0, 2]


def test_interpolate_draws_a_row_for_each_pair(run, models, capsys, tmp_path):
    status, out, *_ = run(
        capsys, tmp_path, "interpolate", "@vae.keras", "--data", "@images.npy", "--pairs", "0-5", "7-2", "--steps", "4",
        "--path", "spherical", "--scale", "1", "--output", "rows.png",
    )  # fmt: skip
    x = IMAGES / np.float32(255)
    rows = applications.interpolate(models[1]["vae"], x[[0, 7]], x[[5, 2]], 4, path="spherical")
    expected = np.round(255 * applications.grid(rows)[..., 0])
    np.testing.assert_array_equal(pixels(tmp_path / "rows.png"), expected)
    assert status == 0 and json.loads(out)["pairs"] == [[0, 5], [7, 2]]


def test_interpolate_pairs_images_of_one_label_by_itself(run, capsys, tmp_path):
    _, out, *_ = run(capsys, tmp_path, "interpolate", "@cvae.keras", "--data", "@data.npz", "--output", "there.gif")
    assert json.loads(out)["pairs"] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]]
    with Image.open(tmp_path / "there.gif") as animation:
        assert animation.n_frames <= 18 and animation.is_animated


def test_an_animation_goes_there_and_back_without_a_step_twice(monkeypatch):
    shown = []
    monkeypatch.setattr(applications, "save_animation", lambda path, frames, *_: shown.append(frames))
    _output.write_rows(pathlib.Path("a.gif"), np.linspace(0, 1, 4).reshape(1, 4, 1, 1, 1), 12.0, 1)
    np.testing.assert_allclose(shown[0][:, 1, 1, 0], np.array([0, 1, 2, 3, 2, 1]) / 3, rtol=1e-6)


def test_traverse_starts_from_an_example(run, models, capsys, tmp_path):
    status, out, *_ = run(
        capsys, tmp_path, "traverse", "@cvae.keras", "--data", "@data.npz", "--example", "5", "--steps", "3", "--span",
        "2", "--scale", "1", "--output", "rows.png",
    )  # fmt: skip
    x = IMAGES / np.float32(255)
    found = applications.traverse(models[1]["cvae"], x, LABELS, x[5], 1, num_steps=3, span=2.0)
    expected = np.round(255 * applications.grid(found.images)[..., 0])
    np.testing.assert_array_equal(pixels(tmp_path / "rows.png"), expected)
    assert status == 0 and json.loads(out)["latents"] == found.latents.tolist()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("@cvae.keras", "--data", "@data.npz"), "page.html"),
        (("@vae.keras", "--data", "@images.npy", "--method", "pca"), "map.png"),
        (("@vae.keras", "--manifold"), "plane.png"),
        (("@vq_vae.keras", "--data", "@data.npz"), "page.html"),
    ],
)
def test_explore_writes_one_file(run, capsys, tmp_path, words, name):
    status, out, _, written = run(capsys, tmp_path, "explore", *words, "--output", name)
    assert (status, written, json.loads(out)["output"]) == (0, {tmp_path / name}, [name])
    assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.parametrize("name", ["page.html", "map.png"])
def test_explore_leaves_out_labels_of_the_data_that_are_no_colours(run, capsys, tmp_path, name):
    np.savez(tmp_path / "many.npz", images=IMAGES, labels=np.arange(len(IMAGES)) / 2)
    status, *_ = run(capsys, tmp_path, "explore", "@vae.keras", "--data", "many.npz", "--output", name)
    assert status == 0 and (tmp_path / name).stat().st_size > 1000


DATA = ("--data", "@data.npz")
OUT = ("--output", "x.png")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sample", "mnist_cvea", *OUT), "Did you mean 'mnist_cvae'"),
        (("sample", "missing.keras", *OUT), "no such file"),
        (("sample", "@text.png", *OUT), "Expected MODEL to be"),
        (("sample", "@vae.keras", *OUT, "--labels", "3"), "Expected --labels to be no labels, as this VAE takes none"),
        (("sample", "@cvae.keras", *OUT, "--labels", "3"), "Expected --labels to be integers from 0 to 2. Received: 3"),
        (("sample", "@cvae.keras", *OUT, "--labels", "-1"), "integers from 0 to 2"),
        (("sample", "@vq_vae.keras", *OUT), "without a prior over its codes"),
        (("sample", "@vae.keras", *OUT, "--seed", "4294967296"), "Expected `--seed` to be None or an integer of 32"),
        (("sample", "@vae.keras", *OUT, "--num", "0"), "Expected `--num` to be an integer >= 1. Received: --num=0"),
        (("sample", "@vae.keras", *OUT, "--temperature", "-1"), "Expected `--temperature` to be a finite number >= 0"),
        (("sample", "@vae.keras", *OUT, "--temperature", "nan"), "Expected `--temperature`"),
        (("sample", "@vae.keras", "--output", "x.pdf"), "Expected `--output` to be a file that ends in .png"),
        (("sample", "@vae.keras", "--output", "@text.png/x.png"), "in a folder that can be written to"),
        (("sample", "@vae.keras", "--output", "@."), "Expected `--output` to be a new or an empty folder"),
        (("sample", "@vae.keras", *OUT, "--walk", "3"), "ends in .gif, .webp"),
        (("sample", "@vae.keras", "--output", "x.gif", "--walk", "1"), "Expected `--walk` to be an integer >= 2"),
        (("sample", "@vae.keras", "--output", "x.gif", "--walk", "2", "--fps", "0"), "Expected `--fps`"),
        (("sample", "@vae.keras", *OUT, "--steps", "3"), "Expected `--steps` to be left out without --walk"),
        (("sample", "@vae.keras", *OUT, "--fps", "3"), "Expected `--fps` to be left out without --walk"),
        (("sample", "@vae.keras", "--output", "x.gif", "--walk", "2", "--num", "3"), "`--num` to be left out with --w"),
        (("sample", "@vae.keras", "--output", "x.gif", "--walk", "2", "--columns", "3"), "`--columns` to be left out"),
        (("sample", "@vae.keras", "--output", "x", "--scale", "2"), "left out where each image is a file of its own"),
        (("reconstruct", "@vae.keras", *DATA, "--output", "x", "--columns", "2"), "`--columns` to be left out where"),
        (("reconstruct", "@vq_vae.keras", *DATA, *OUT, "--tiles", "--scale", "2"), "left out with --tiles"),
        (("reconstruct", "@cvae.keras", *DATA, *OUT, "--relabel", "1", "--columns", "2"), "left out with --relabel"),
        (("interpolate", "@vae.keras", *DATA, *OUT, "--fps", "10"), "left out unless --output is an animation"),
        (("traverse", "@vae.keras", *DATA, *OUT, "--fps", "10"), "left out unless --output is an animation"),
        (("traverse", "@cvae.keras", *DATA, *OUT, "--label", "0,1"), "Expected --label to be one label. Received: 0,1"),
        (("explore", "@vae.keras", *DATA, *OUT, "--manifold"), "Expected `--data` to be left out with --manifold"),
        (("explore", "@vae.keras", *OUT, "--manifold", "--method", "pca"), "`--method` to be left out with --manifold"),
        (("explore", "@vae.keras", *DATA, *OUT, "--latents", "3"), "left out unless --output is a page"),
        (("explore", "@cvae.keras", *OUT, "--manifold"), "Expected --label to be one label. Received: nothing"),
        (("reconstruct", "@vae.keras", *OUT), "Expected --data"),
        (("reconstruct", "@vq_vae.keras", *DATA, *OUT, "--tiles"), "Expected --tiles with pictures as --data"),
        (("reconstruct", "@vae.keras", "--data", "@text.png", *OUT), "Expected --data to be pictures"),
        (("reconstruct", "@vae.keras", "--data", "@empty", *OUT), "with no picture in it"),
        (("reconstruct", "@cvae.keras", "--data", "@images.npy", *OUT), "Expected data with labels"),
        (("reconstruct", "@vae.keras", *DATA, *OUT, "--relabel", "1"), "Expected --relabel with a model of classes"),
        (("reconstruct", "@cvae.keras", *DATA, "--output", "x", "--relabel", "1"), "Expected `--output` to be a pic"),
        (("interpolate", "@vae.keras", *DATA, *OUT, "--pairs", "1"), "two numbers of images, such as 3-18"),
        (("interpolate", "@vae.keras", *DATA, *OUT, "--pairs", "1-12"), "Expected --pairs below 12"),
        (("interpolate", "@cvae.keras", *DATA, *OUT, "--pairs", "0-11"), "Expected two images of one label"),
        (("interpolate", "@vae.keras", *DATA, *OUT, "--limit", "1"), "Expected at least two images"),
        (("interpolate", "@vae.keras", *DATA, *OUT, "--steps", "1"), "Expected `--steps` to be an integer >= 2"),
        (("traverse", "@vae.keras", *DATA, *OUT, "--example", "12"), "Expected `--example` to be below 12"),
        (("traverse", "@vae.keras", *DATA, *OUT, "--label", "1"), "left out, as a VAE decodes without labels"),
        (("traverse", "@vae.keras", *DATA, *OUT, "--span", "0"), "Expected `--span` to be a finite number > 0"),
        (("explore", "@vae.keras", *DATA, "--output", "x.gif"), "Expected `--output` to be a file that ends in .html"),
        (("explore", "@cvae.keras", *OUT, "--manifold", "--label", "5"), "integers from 0 to 2"),
        (("explore", "@vq_vae.keras", *OUT, "--manifold"), "Expected `model` to be one with two latents"),
        (("explore", "@vae.keras", *DATA, "--output", "x.html", "--serve", "65536"), "a port from 0 to 65535"),
        (("explore", "@vae.keras", *DATA, "--output", "x.html", "--serve", "0", "--litert", "@empty"), "npm install"),
    ],
)
def test_wrong_input_gets_one_line_and_leaves_nothing(run, models, capsys, tmp_path, monkeypatch, words, message):
    monkeypatch.setattr(shipped, "folder", lambda: models[0] / "shipped")
    before = sorted(models[0].rglob("*"))
    status, out, err, written = run(capsys, tmp_path, *words)
    lines = [line for line in err.splitlines() if line.startswith("vae-zoo ")]
    assert (status, out, written, len(lines)) == (2, "", set(), 1)
    assert message in lines[0] and lines[0].startswith(f"vae-zoo {words[0]}: ")
    assert sorted(models[0].rglob("*")) == before


def test_explore_refuses_a_port_that_is_taken(run, capsys, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = ("explore", "@vae.keras", *DATA, "--output", "x.html", "--serve", port)
        status, out, err, written = run(capsys, tmp_path, *words)
    assert (status, out, written) == (2, "", set())
    assert err.startswith(f"vae-zoo explore: Expected --serve to be a free port. Received: {port} (")


def test_explore_serves_the_page_and_ends_with_ctrl_c(run, models, capsys, tmp_path, monkeypatch):
    """The server is left at once; what it would serve is looked at."""
    modules = tmp_path / "node_modules" / "@litertjs"
    for part in ("core/dist/index.js", "core/wasm/a.wasm", "wasm-utils/dist/index.js"):
        (modules / part).parent.mkdir(parents=True, exist_ok=True)
        (modules / part).write_text("")
    served = []

    def serve(server):
        served.extend(path.name for path in pathlib.Path(server.RequestHandlerClass.keywords["directory"]).iterdir())
        raise KeyboardInterrupt

    monkeypatch.setattr(socketserver.BaseServer, "serve_forever", serve)
    monkeypatch.setattr(BaseVAE, "export", lambda model, path: path.write_bytes(b"\x1c\x00\x00\x00TFL3"))
    words = ("explore", "@vae.keras", *DATA, "--output", "x.html", "--serve", "0", "--litert", str(modules.parent))
    status, out, err, written = run(capsys, tmp_path, *words)
    assert (status, written, json.loads(out)["output"]) == (0, {tmp_path / "x.html"}, ["x.html"])
    assert sorted(served) == ["index.html", "litert", "model.tflite"] and "http://127.0.0.1:" in err


@pytest.mark.parametrize("command", PICTURE_COMMANDS)
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([command, "--help"])
    assert stopped.value.code == 0 and f"python -m zoo {command} mnist_cvae " in capsys.readouterr().out


def test_the_program_refuses_wrong_input_with_one_line(tmp_path):
    command = [sys.executable, "-m", "zoo", "sample", "nothing", "--output", "x.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert done.stderr.startswith("vae-zoo sample: Expected the name of a preset.") and done.stderr.count("\n") == 1


def test_sigterm_leaves_nothing_half_written(run, capsys, tmp_path, monkeypatch):
    """As a job's end by its scheduler; in the middle of a folder of pictures."""
    before = signal.getsignal(signal.SIGTERM)
    saved, own = [], Image.Image.save

    def save(image, path, **kwargs):
        own(image, path, **kwargs)
        saved.append(path)
        if len(saved) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(SystemExit) as stopped:
        run(capsys, tmp_path, "sample", "@vae.keras", "--num", "3", "--output", "samples")
    assert (stopped.value.code, len(saved), list(tmp_path.iterdir())) == (143, 2, [])
    assert signal.getsignal(signal.SIGTERM) == before
