"""Maps, the manifold of a 2-D latent, and the content of the page; a browser runs the page in test_explore_page.py."""

import base64
import io
import json
import re
import statistics

import numpy as np
import pytest
import tiny_models
from PIL import Image

import zoo
from zoo.applications import Map, explore, latent_map, latent_statistics, manifold, plot_map, site

X = np.random.default_rng(0).uniform(size=(12, 4, 4, 1)).astype("float32")
LABELS = np.repeat([2, 0, 1], 4).astype(np.int32)


def test_the_map_of_latents_has_the_two_with_the_largest_kl():
    model = tiny_models.vae(latents=3)
    found = latent_map(model, X)
    order = latent_statistics(model, X).order
    np.testing.assert_array_equal(found.points, np.asarray(model.embed(X))[:, order[:2]])
    assert found.axes == (f"latent {order[0]}", f"latent {order[1]}")


def test_the_map_of_main_axes_keeps_the_largest_variances():
    """By the eigenvalues of the covariance; the signs of the axes are free."""
    model = tiny_models.vae(latents=3)
    e = np.asarray(model.embed(X), np.float64)
    values, vectors = np.linalg.eigh(np.cov(e.T))
    found = latent_map(model, X, method="pca")
    np.testing.assert_allclose(found.points.var(axis=0, ddof=1), values[:0:-1], rtol=1e-4)
    np.testing.assert_allclose(np.abs(found.points), np.abs((e - e.mean(axis=0)) @ vectors[:, :0:-1]), atol=1e-4)
    assert found.axes[0] == f"main axis 1 ({values[2] / values.sum():.0%} of the variance)"


def test_one_latent_is_a_line():
    found = latent_map(tiny_models.vae(latents=1), X)
    assert found.axes == ("latent 0", "") and (found.points[:, 1] == 0).all() and found.points[:, 0].std() > 0


@pytest.mark.slow  # its compilation takes minutes
def test_umap_keeps_near_what_is_near():
    pytest.importorskip("umap")
    model = tiny_models.vae(latents=3)
    far = np.concatenate([X * 0.01, 1 - X * 0.01])
    first, again = (latent_map(model, far, method="umap", seed=3).points for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (24, 2) and np.isfinite(first).all()


def test_umap_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'vae-zoo\[umap\]'"):
        latent_map(tiny_models.vae(), X, method="umap")


def test_a_plot_of_a_map_is_a_picture(tmp_path):
    points = Map(np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32), ("right", "up"))
    blue, orange, green = ([31, 119, 180], [255, 127, 14], [44, 160, 44])
    for labels, hues in ((None, [blue]), (np.arange(30) % 3 + 4, [blue, orange, green])):
        path = plot_map(tmp_path / "new" / "map.png", points, labels)
        pixels = np.asarray(Image.open(path).convert("RGB"), int)
        assert [(pixels == hue).all(axis=-1).sum() > 50 for hue in (blue, orange, green)] == [
            hue in hues for hue in (blue, orange, green)
        ]
    with pytest.raises(ValueError, match=r"Expected `labels` to be of shape \[30\]"):
        plot_map(tmp_path / "map.png", points, np.zeros(3))
    many = [f"name {number}" for number in range(30)]
    with pytest.raises(ValueError, match="Expected `labels` to be numbers, or at most 20 names. Received: .*30 names"):
        plot_map(tmp_path / "map.png", points, many)
    with pytest.raises(ValueError, match="Expected `labels` to be numbers or texts alone. Received: labels='object'"):
        plot_map(tmp_path / "map.png", points, ["a", None] * 15)
    with pytest.raises(ValueError, match="Expected `path` to be a file that ends in .png, .svg or .pdf"):
        plot_map(tmp_path / "map.txt", points)


def with_a_flow():
    model = tiny_models.vae()
    model.prior = zoo.priors.Flow(2, couplings=1, hidden=2)
    return model


def test_the_manifold_stands_at_quantiles_of_the_prior():
    model = tiny_models.vae()
    found = manifold(model, num_steps=4)
    assert found.shape == (4, 4, 4, 4, 1)
    low = statistics.NormalDist().inv_cdf(1 / 8)
    corner = np.asarray(model.decode(np.array([[low, -low], [-low, low]], np.float32)))
    np.testing.assert_allclose(found[0, 0], corner[0], atol=1e-6)  # top left: the first latent low, the second high
    np.testing.assert_allclose(found[3, 3], corner[1], atol=1e-6)


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (tiny_models.vae, {"num_steps": 1}, "Expected `num_steps` to be an integer >= 2"),
        (tiny_models.hierarchical_vae, {}, "Expected `model` to be one with two latents.*with 10 latents"),
        (tiny_models.vq_vae, {}, "Expected `model` to be one with two latents.*with codes"),
        (tiny_models.cvae, {"labels": [0, 1]}, "Expected `labels` to be one label for all images"),
        (with_a_flow, {}, "a standard normal prior, at whose quantiles the grid stands. Received: .*a VAE with a Flow"),
    ],
)
def test_other_manifolds_are_refused(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        manifold(model(), **arguments)


def content(path):
    text = path.read_text()
    return json.loads(re.search(r'id="data" type="application/json">(.*?)</script>', text)[1]), text


def sheet(entry, number, height=4, width=4):
    """An image of a sprite sheet, by its number."""
    kind, _, data = entry["src"].partition(",")
    assert kind == "data:image/png;base64"
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    top, left = number // entry["columns"] * height, number % entry["columns"] * width
    return image[top : top + height, left : left + width]


def levels(image):
    return np.round(255 * np.asarray(image)[..., 0])


def test_a_page_holds_images_reconstructions_and_frames(tmp_path):
    model = tiny_models.cvae()
    path = explore(model, X, LABELS, tmp_path / "page.html", num_latents=2, num_steps=3, title="A <b> & c")
    found, text = content(path)
    assert "http" not in text.replace("http-equiv", "") and "<title>A &lt;b> &amp; c</title>" in text
    np.testing.assert_array_equal(sheet(found["images"], 7), levels(X[7]))
    np.testing.assert_array_equal(sheet(found["reconstructions"], 7), levels(model.reconstruct(X, LABELS)[7]))
    assert found["classes"] == ["0", "1", "2"] and found["labels"] == LABELS.tolist()
    assert found["starts"] == [-1, 4, 8, 0]  # the prior's mean, and the first example of each class
    assert found["centre"] == "the prior's mean"
    statistics = latent_statistics(model, X, LABELS)
    latent = statistics.order[1]
    assert found["latents"][1]["latent"] == latent and found["steps"] == [-3, 0, 3]
    z = np.array(model.embed(X[8:9], LABELS[8:9]))
    z[0, latent] += 3 * statistics.std[latent]
    expected = model.decode(z, LABELS[8:9])
    difference = sheet(found["frames"], 2 * 6 + 1 * 3 + 2).astype(int) - levels(expected[0])
    assert np.abs(difference).max() <= 1
    embeddings = np.frombuffer(base64.b64decode(found["embeddings"]), "<f4").reshape(12, 2)
    np.testing.assert_array_equal(embeddings, model.embed(X, LABELS))


def test_a_page_has_a_bounded_size(tmp_path):
    model = tiny_models.vae()
    many = np.tile(X, (10, 1, 1, 1))
    found, _ = content(explore(model, many, path=tmp_path / "page.html", max_examples=30, num_steps=3))
    assert len(found["points"]) == 30 and found["labels"] is None
    codes, _ = content(explore(tiny_models.vq_vae(), X, LABELS, tmp_path / "codes.html", num_steps=3))
    assert codes["centre"] == "the mean of the examples"
    assert codes["embeddings"] is None and codes["latents"][0]["kl"] is None


def test_names_of_classes_and_a_script_in_one_of_them(tmp_path):
    names = ["</script><script>alert(1)", "b", "c"]
    path = explore(tiny_models.vae(), X, LABELS, tmp_path / "page.html", num_steps=3, class_names=names)
    found, text = content(path)
    assert found["classes"] == names and text.count("<script") == 2
    path = explore(tiny_models.vae(), X, np.array(["c", "a", "b"])[LABELS], tmp_path / "page.html", num_steps=3)
    found, _ = content(path)
    assert found["classes"] == ["a", "b", "c"] and found["labels"][::4] == [1, 2, 0]  # "b", "c", "a"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "page.txt"}, "Expected `path` to be a file that ends in .html"),
        ({"images": X[..., 0]}, r"Expected `images` to be of shape \[N,H,W,1\]"),
        ({"labels": LABELS[:3]}, "Expected `labels` to be one for each of 12 images"),
        ({"labels": LABELS / 2}, r"Expected `labels` to be integers or strings of shape \[N\], of at most 20 classes"),
        ({"labels": LABELS[:, None]}, r"Expected `labels` to be integers or strings of shape \[N\]"),
        ({"labels": ["a"] * 12, "class_names": ["b"]}, "Expected `class_names` to be None, as `labels` are names"),
        ({"labels": LABELS, "class_names": ["a"]}, "Expected `class_names` to be a name for each of 3 classes"),
        ({"num_steps": 1}, "Expected `num_steps` to be an integer >= 2"),
        ({"span": -1.0}, "Expected `span` to be a finite number > 0"),
        ({"method": "tsne"}, "Expected `method` to be one of 'latents', 'pca', 'umap'"),
    ],
)
def test_wrong_pages_are_refused_and_leave_nothing(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        explore(**{"model": tiny_models.vae(), "images": X, "path": "page.html", **arguments})
    assert list(tmp_path.iterdir()) == []


def test_a_site_has_the_page_the_model_and_litert(tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<head><title>a</title></head><script id="data"></script>')
    model = tmp_path / "m.tflite"
    model.write_bytes(b"\x1c\x00\x00\x00TFL3")
    modules = tmp_path / "node_modules" / "@litertjs"
    for part in ("core/dist/index.js", "core/wasm/a.wasm", "wasm-utils/dist/index.js"):
        (modules / part).parent.mkdir(parents=True, exist_ok=True)
        (modules / part).write_text(part)
    folder = site(tmp_path / "site", page, model, modules.parent)
    text = (folder / "index.html").read_text()
    imports = json.loads(re.search(r'<script type="importmap">(.*?)</script>', text)[1])["imports"]
    for name, address in imports.items():
        assert (folder / address).read_text() == f"{name.removeprefix('@litertjs/')}/dist/index.js"
    live = json.loads(re.search(r"ZOO_LIVE = (.*?)</script>", text)[1])
    assert (folder / live["model"]).read_bytes() == model.read_bytes()
    assert (folder / live["litert"] / "a.wasm").read_text() == "core/wasm/a.wasm"
    with pytest.raises(ValueError, match="Expected `model` to be a .tflite file"):
        site(tmp_path / "other", page, page, modules.parent)
    with pytest.raises(ValueError, match="Run: npm install @litertjs/core"):
        site(tmp_path / "other", page, model, tmp_path)
    assert not (tmp_path / "other").exists()


def test_frames_of_the_centre_have_the_first_label(tmp_path):
    model = tiny_models.cvae()
    found, _ = content(explore(model, X, LABELS, tmp_path / "page.html", num_latents=2, num_steps=3))
    centre = model.decode(np.zeros((1, 2), np.float32), LABELS[:1])  # as page.js decodes it
    assert np.abs(sheet(found["frames"], 1).astype(int) - levels(centre[0])).max() <= 1
