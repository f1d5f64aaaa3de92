"""The pictures of a run, decoded again."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

import zoo
from zoo import data, networks
from zoo.training import pictures

HISTORY = [
    {"epoch": 1, "loss": 9.0, "val_loss": 9.5, "reconstruction": 8.0, "val_reconstruction": 8.5},
    {"epoch": 2, "loss": 7.0, "val_loss": 7.5, "reconstruction": 6.0, "val_reconstruction": 6.5},
]


def vae(shape=(8, 8, 1), latent_dim=3):
    return zoo.VAE(networks.mlp_encoder(shape, latent_dim, (8,)), networks.mlp_decoder(shape, latent_dim, (8,)), seed=0)


def cvae(classes=10):
    encoder = networks.mlp_encoder((8, 8, 1 + classes), 2, (8,))
    return zoo.CVAE(encoder, networks.mlp_decoder((8, 8, 1), 2 + classes, (8,)), classes, seed=0)


def vq_vae():
    encoder = networks.residual_encoder((8, 8, 3), 4, filters=8, blocks=0)
    quantizer = zoo.quantizers.VectorQuantizer(6, 4, seed=0, initialization="uniform")
    return zoo.VQVAE(
        encoder, networks.residual_decoder((2, 2, 4), 3, filters=8, blocks=0), quantizer, zoo.likelihoods.Gaussian(0.2)
    )


def images(number, shape=(8, 8, 1), classes=10):
    pixels = np.random.default_rng(0).integers(0, 256, (number, *shape), np.uint8)
    return data.Images(pixels, np.arange(number, dtype=np.int32) % classes if classes else None)


def read(path):
    return plt.imread(path)[..., :3]


def tile(canvas, row, column, size=8, scale=3):
    """One image of a grid, its pixels one wide again: a gap of one pixel goes before each."""
    top, left = (scale * (place * (size + 1) + 1) for place in (row, column))
    return canvas[top : top + scale * size : scale, left : left + scale * size : scale]


def test_grid_holds_the_images_in_their_places(tmp_path):
    rows = np.random.default_rng(0).random((2, 3, 4, 5, 3), np.float32)
    pictures.save_grid(tmp_path / "a.png", rows, scale=2)
    canvas = read(tmp_path / "a.png")
    assert canvas.shape == (2 * (2 * 5 + 1), 2 * (3 * 6 + 1), 3)
    for r in range(2):
        for n in range(3):
            shown = canvas[2 * (5 * r + 1) : 2 * (5 * r + 5), 2 * (6 * n + 1) : 2 * (6 * n + 6)]
            np.testing.assert_allclose(shown[::2, ::2], rows[r, n], atol=1 / 255)
            assert np.array_equal(shown[::2, ::2], shown[1::2, 1::2])
    assert np.all(canvas[:2] == 1) and np.all(canvas[:, -2:] == 1)  # white between and around


def test_grid_of_grey_images_is_grey_and_clipped(tmp_path):
    pictures.save_grid(tmp_path / "a.png", np.array([-0.5, 0.5, 1.5]).reshape(1, 3, 1, 1, 1), scale=1)
    assert list(read(tmp_path / "a.png")[1, 1::2, 0]) == pytest.approx([0.0, 0.5, 1.0], abs=1 / 255)
    assert np.ptp(read(tmp_path / "a.png"), axis=-1).max() == 0


@pytest.mark.parametrize(
    "model, shape, also",
    [
        (vae, (8, 8, 1), {"samples", "latents"}),
        (cvae, (8, 8, 1), {"samples", "latents"}),
        (vq_vae, (8, 8, 3), {"codebook"}),
    ],
)
def test_every_model_shows_what_it_can(tmp_path, model, shape, also):
    pictures.plot_all(model(), images(60, shape), HISTORY, tmp_path)
    names = {"reconstructions", "interpolation", "curves"} | also
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png" for name in names}
    for path in tmp_path.iterdir():
        assert read(path).std() > 0.02


def test_reconstructions_stand_below_their_originals(tmp_path):
    model, originals = vae(), images(60)
    pictures.plot_all(model, originals, HISTORY, tmp_path)
    canvas = read(tmp_path / "reconstructions.png")
    x = originals.images / np.float32(255)
    for number in (0, 11, 12, 47):
        row, column = divmod(number, 12)
        np.testing.assert_allclose(tile(canvas, 2 * row, column)[..., :1], x[number], atol=1 / 255)
        shown = np.asarray(model.reconstruct(x[number : number + 1]))[0]
        np.testing.assert_allclose(tile(canvas, 2 * row + 1, column)[..., :1], shown, atol=1.5 / 255)


def test_samples_are_those_of_the_seed(tmp_path):
    model = vae()
    pictures.plot_all(model, images(30), HISTORY, tmp_path, seed=5)
    expected = np.asarray(model.sample(100, seed=5))
    canvas = read(tmp_path / "samples.png")
    for number in (0, 9, 10, 99):
        np.testing.assert_allclose(tile(canvas, *divmod(number, 10))[..., :1], expected[number], atol=1.5 / 255)


def test_conditional_samples_have_a_row_for_each_class_asked_for(tmp_path):
    model = cvae()
    pictures.plot_all(model, images(30), HISTORY, tmp_path, seed=5, classes=[7, 3])
    canvas = read(tmp_path / "samples.png")
    assert canvas.shape[0] == 3 * (2 * 9 + 1)
    labels = np.repeat(np.int32([7, 3]), 10)
    expected = np.asarray(model.sample(20, seed=5, labels=labels))
    for number in (0, 19):
        np.testing.assert_allclose(tile(canvas, *divmod(number, 10))[..., :1], expected[number], atol=1.5 / 255)


def test_interpolation_runs_from_one_reconstruction_to_another(tmp_path):
    model, originals = vae(), images(30)
    pictures.plot_all(model, originals, HISTORY, tmp_path)
    ends = np.asarray(model.reconstruct(originals.images[:2] / np.float32(255)))
    canvas = read(tmp_path / "interpolation.png")
    np.testing.assert_allclose(tile(canvas, 0, 0)[..., :1], ends[0], atol=1.5 / 255)
    np.testing.assert_allclose(tile(canvas, 0, 9)[..., :1], ends[1], atol=1.5 / 255)


@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_latents_of_any_number_are_drawn(tmp_path, latent_dim):
    pictures.plot_all(vae(latent_dim=latent_dim), images(30), HISTORY, tmp_path)
    assert read(tmp_path / "latents.png").std() > 0.02


def test_images_without_labels_are_drawn(tmp_path):
    pictures.plot_all(vae(), images(30, classes=None), HISTORY, tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("model, shape", [(vae, (8, 8, 1)), (vq_vae, (8, 8, 3))])
def test_few_images_are_drawn_too(tmp_path, model, shape, number):
    """A folder of few pictures leaves one for testing."""
    pictures.plot_all(model(), images(number, shape, classes=None), HISTORY[:1], tmp_path)
    assert read(tmp_path / "reconstructions.png").shape == (3 * 19, 3 * (9 * number + 1), 3)


def test_samples_of_a_prior_that_is_gone_do_not_stay(tmp_path):
    (tmp_path / "samples.png").write_bytes(b"old")
    pictures.plot_all(vq_vae(), images(60, (8, 8, 3)), HISTORY, tmp_path)
    assert not (tmp_path / "samples.png").exists()


def test_model_with_a_prior_shows_its_samples(tmp_path):
    model = vq_vae()
    model.prior = zoo.priors.Transformer(6, (2, 2), width=8, depth=1, heads=2)
    pictures.plot_all(model, images(60, (8, 8, 3)), HISTORY, tmp_path, seed=5)
    expected = np.asarray(model.sample(100, seed=5))
    canvas = read(tmp_path / "samples.png")
    for number in (0, 99):
        np.testing.assert_allclose(tile(canvas, *divmod(number, 10)), expected[number], atol=1.5 / 255)


def test_curves_of_other_figures(tmp_path):
    history = [{"epoch": n, "nats_per_code": 3.0 / n, "val_nats_per_code": 4.0 / n} for n in (1, 2, 3)]
    pictures.plot_curves(history, tmp_path, ["nats_per_code"], "nats per code")
    assert read(tmp_path / "curves.png").std() > 0.02
    pictures.plot_curves([], tmp_path / "none")
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_the_first_tenth_of_the_epochs_does_not_set_the_range_of_the_curves():
    figure, axes = plt.subplots()
    try:
        history = [{"epoch": epoch, "loss": 1e6 if epoch < 2 else 100.0 - epoch} for epoch in range(20)]
        pictures._curves(axes, history, ["loss"], "nats")
        assert axes.get_ylim()[1] < 110.0 and len(axes.get_lines()[0].get_xdata()) == 20
    finally:
        plt.close(figure)


def test_no_figure_is_left_open(tmp_path):
    before = plt.get_fignums()
    pictures.plot_all(vae(), images(30), HISTORY, tmp_path)
    assert plt.get_fignums() == before
