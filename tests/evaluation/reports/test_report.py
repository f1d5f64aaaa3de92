"""Reports of small models: figures that are known, what is left out and why, and the page."""

import html.parser
import io
import json
import math
import re
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import zoo
from zoo import data, networks
from zoo.evaluation import METRICS, Figure, Part, Report, evaluate
from zoo.evaluation.features import Features
from zoo.evaluation.reports import measures, task

SHAPE = (12, 12, 1)  # SSIM needs 11 pixels, MS-SSIM 22


def images(number, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, *SHAPE), dtype=np.uint8)


def a_vae(**settings):
    encoder, decoder = networks.mlp_encoder(SHAPE, 3, (8,)), networks.mlp_decoder(SHAPE, 3, (8,))
    return zoo.VAE(encoder, decoder, seed=0, **settings)


@pytest.fixture(scope="module")
def grey():
    """A VAE whose weights are 0: each pixel is ½, and q(z|x) is the prior."""
    model = a_vae()
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(tf.zeros_like(weight))
    return model


def judge():
    """A network whose features are the means of the four quarters of an image."""

    def network(x):
        return tf.reshape(tf.nn.avg_pool2d(x, 6, 6, "VALID"), (-1, 4)), None

    return Features("quarters", "quarters features", network, SHAPE)


@pytest.fixture(scope="module")
def full(grey):
    told = []
    labels = np.arange(40) % 2
    images_of = {name: images(40, seed) for seed, name in enumerate(("test", "train"))}
    for each in images_of.values():
        each[labels == 0] = 255 - each[labels == 0] // 8  # bright and dark
        each[labels == 1] //= 8
    report = evaluate(
        grey, Part(images_of["test"], labels), Part(images_of["train"], labels, "train"), num_samples=2,
        judge=judge(), about={"name": "<grey>"}, progress=lambda *step: told.append(step),
    )  # fmt: skip
    return report, images_of, told


def by_name(report):
    return {figure.name: figure for figure in report.figures}


def test_figures_are_those_of_the_closed_form(full):
    report, images_of, _ = full
    found, x = by_name(report), images_of["test"] / 255.0
    squared = np.square(x - 0.5).reshape(40, -1).mean(axis=1)
    variance = (images_of["train"] / 255.0).var()
    assert found["mse"].value == pytest.approx(squared.mean(), rel=1e-5)
    assert found["mse"].error == pytest.approx(squared.std(ddof=1) / math.sqrt(40), rel=1e-4)
    assert found["mse_over_variance"].value == pytest.approx(squared.mean() / variance, rel=1e-5)
    assert found["psnr"].value == pytest.approx(np.mean(-10 * np.log10(squared)), rel=1e-4)
    for name in ("elbo", "log_prob"):
        assert found[name].value == pytest.approx(-144 * math.log(2), rel=1e-5)
    assert found["rate"].value == pytest.approx(0.0, abs=1e-5) and found["active_units"].value == 0
    # All embeddings are equal: the classifiers can only guess one of two classes of equal size.
    assert found["linear_probe"].value == found["nearest_neighbours"].value == 0.5
    # All samples are grey ½, and no training image is.
    assert found["precision (quarters features)"].value == 0.0
    assert found["share_nearer (pixels)"].value == 0.0
    assert found["check_mean"].value == pytest.approx((0.5 - x.mean()) / x.mean(axis=(1, 2, 3)).std(ddof=1), rel=1e-4)


def test_each_figure_names_its_origin(full):
    report, _, told = full
    assert list(report.groups) == [name for name in METRICS if name != "disentanglement"] and all(
        report.groups.values()
    )
    assert {figure.split for figure in report.figures} == {"test", "sampled"}
    assert all(figure.num_examples and figure.seconds >= 0.0 for figure in report.figures)
    assert list(report.left_out) == ["bits_per_dim", "ms_ssim"]
    assert all(0 <= done <= total for _, done, total in told)
    assert {"importance samples", "reconstructions", "samples"} <= {description for description, _, _ in told}


def test_psnr_says_which_mean_it_is(full):
    psnr, ssim = (by_name(full[0])[name] for name in ("psnr", "ssim"))
    assert (psnr.unit, psnr.about) == ("dB", "mean over images; that of the mean squared error is lower")
    assert (ssim.unit, ssim.about) == ("", "")


def test_table_has_a_line_for_each_figure(full):
    report, _, _ = full
    header, *lines = report.table().splitlines()
    assert header.split() == ["figure", "value", "examples", "seconds", "about"]
    assert len(lines) == len(report.figures) + len(report.left_out)
    assert lines[0].startswith("elbo ") and " nats " in lines[0] and " 40 test " in lines[0]
    assert lines[-2] == "left out: bits_per_dim, as Bernoulli is no distribution over 8-bit values"


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.open, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_self_contained(full):
    report, _, _ = full
    page = Page(report.html())
    assert not page.open and page.sources and all(source.startswith("data:") for source in page.sources)
    assert "script" not in page.tags and "@import" not in report.html() and "url(" not in report.html()
    assert page.tags.count("img") == len(report.pictures) == 4
    assert "Evaluation of <grey>" in page.text
    assert {figure.name for figure in report.figures} | {figure.amount() for figure in report.figures} <= set(page.text)


def test_pictures_show_what_they_say(full):
    report, images_of, _ = full
    assert [picture.name for picture in report.pictures] == ["reconstructions", "samples", "nearest", "kl"]
    pixels = {each.name: np.asarray(Image.open(io.BytesIO(each.png))) for each in report.pictures}
    for each in report.pictures:
        assert pixels[each.name].shape[:2] == each.size[::-1]
    scale = 5  # of 12 pixels, ten in a row of 640
    rows = pixels["reconstructions"]
    np.testing.assert_array_equal(rows[: 12 * scale : scale, : 12 * scale : scale], images_of["test"][0, ..., 0])
    assert set(np.unique(rows[12 * scale + 2 : 24 * scale + 2, : 12 * scale])) <= {127, 128}  # below: the grey image


def test_json_holds_figures_that_are_not_finite():
    figures = [Figure(name="psnr", value=math.inf, error=math.nan, num_examples=3, split="test")]
    report = Report({"model": "VAE"}, {"reconstruction": figures}, {})
    found = json.loads(json.dumps(report.as_json(), allow_nan=False))["figures"]
    assert found == [{"metric": "reconstruction", **figures[0].as_dict(), "value": None, "error": None}]


def test_arrays_alone_are_enough(grey):
    report = evaluate(grey, images(12), num_samples=1, with_pictures=False)
    assert {"mse", "elbo", "check_mean"} <= set(by_name(report))
    assert {"mse_over_variance", "samples", "representation"} <= set(report.left_out)
    assert "training images" in report.left_out["samples"]


def test_a_vq_vae_without_a_prior_cannot_sample():
    encoder = networks.residual_encoder(SHAPE, code_dim=4, filters=4, blocks=1)
    decoder = networks.residual_decoder((3, 3, 4), params=1, filters=4, blocks=1)
    model = zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(8, 4, seed=0))
    report = evaluate(model, images(12), images(12, 1), judge=judge())
    assert {"codebook_usage", "perplexity", "mse_over_variance"} <= set(by_name(report)) and "elbo" not in by_name(
        report
    )
    for name in ("elbo, rate, code_cross_entropy", "samples", "criticism"):
        assert "no prior" in report.left_out[name]
    assert [picture.name for picture in report.pictures] == ["reconstructions", "codes"]


def test_samples_are_compared_with_grey_images_where_the_data_were_binarised(grey):
    levels = np.full((12, *SHAPE), 64, np.uint8)
    binary = np.where(np.random.default_rng(0).random(levels.shape) < 0.25, 255, 0).astype(np.uint8)
    report = evaluate(grey, Part(binary, grey=levels), metrics=["criticism"], with_pictures=False)
    assert by_name(report)["check_variance"].about.startswith("data 0, ")


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"judge": None}, "no feature network is given"),
        ({"test": images(5)}, "at least 10 test images"),
        ({"judge": Features("small", "small", None, (4, 4, 1))}, r"small takes images of shape \(4, 4, 1\)"),
    ],
)
def test_samples_are_left_out_with_the_reason(grey, change, reason):
    arguments = {"test": images(12), "training": images(12, 1), "judge": judge(), **change}
    report = evaluate(grey, metrics=["samples"], with_pictures=False, **arguments)
    assert not report.figures
    assert re.search(reason, report.left_out["samples"])


@pytest.mark.parametrize(("training", "drawn"), [(2, 2), (None, 0)])
def test_samples_have_the_labels_of_training_or_else_of_the_test(training, drawn):
    encoder, decoder = networks.mlp_encoder((*SHAPE[:2], 4), 2, (4,)), networks.mlp_decoder(SHAPE, 5, (4,))
    model = zoo.CVAE(encoder, decoder, num_classes=3, seed=0)
    parts = Part(images(5), np.zeros(5, np.int32)), training and Part(images(5), np.full(5, training, np.int32))
    settings = {"judge": None, "factors": None, "num_samples": 1, "seed": 4, "card": {}, "progress": print}
    found = task.Task(model=model, test=parts[0], training=parts[1], **settings).draw(6)
    np.testing.assert_allclose(found, model.sample(6, seed=4, labels=np.full(6, drawn, np.int32)), atol=1e-6)


def test_disentanglement_needs_factors(grey):
    report = evaluate(grey, images(3), metrics=["disentanglement"], with_pictures=False)
    assert "known factors" in report.left_out["disentanglement"]


def test_disentanglement_on_factors(grey, monkeypatch):
    few = [(measure, {"num_examples": 50}, 50, about) for measure, _, _, about in measures._SCORES[:1]]
    monkeypatch.setattr(measures, "_SCORES", few)
    factors = data.FactorImages(images(20), np.stack(np.divmod(np.arange(20), 5), axis=1), ["row", "column"])
    (found,) = evaluate(grey, images(3), metrics=["disentanglement"], factors=factors, seed=4).figures
    # Equal embeddings know nothing of the factors; the figures of each factor are left out.
    assert (found.name, found.value, found.split, found.num_examples, found.seed) == ("mig", 0.0, "all factors", 50, 4)


def test_wrong_arguments_are_refused(grey):
    with pytest.raises(ValueError, match="Expected `metrics` to be one of .*Received: metrics='fid'"):
        evaluate(grey, images(3), metrics=["fid"])
    with pytest.raises(ValueError, match="Expected `num_samples`"):
        evaluate(grey, images(3), num_samples=0)
    with pytest.raises(ValueError, match="Expected `seed`"):
        evaluate(grey, images(3), seed=-1)
    with pytest.raises(ValueError, match="Expected `test` to be a Part"):
        evaluate(grey, images(0))


def test_the_judge_sees_the_training_images_once(grey):
    seen, network = [], judge().network

    def counting(x):
        seen.append(len(x))
        return network(x)

    counted = Features("quarters", "quarters features", counting, SHAPE)
    evaluate(grey, images(12), images(777, 1), metrics=["samples"], judge=counted)
    # Samples, reconstructions and test images of the distances, then samples and test images of the neighbours.
    assert sum(seen) == 777 + 3 * 12 + 2 * 12


def test_the_error_of_a_share_of_samples_is_that_of_a_binomial():
    near = types.SimpleNamespace(summary=lambda: {"share_nearer": 0.2})
    given = types.SimpleNamespace(nearest=(np.zeros((50, *SHAPE)), {"pixels": near}), seed=0)
    given.figure = lambda name, value, error, *_, **origin: (name, value, error)
    assert measures._nearest(given) == [("share_nearer (pixels)", 0.2, pytest.approx(math.sqrt(0.2 * 0.8 / 50)))]


def test_pixel_variance_in_chunks(monkeypatch):
    monkeypatch.setattr(measures, "_ROWS", 7)
    x = images(20)
    assert measures.pixel_variance(x) == pytest.approx((x / 255.0).var(), rel=1e-6)


def test_errors_of_channels_in_units_of_their_own_are_over_their_own_variances():
    rng = np.random.default_rng(0)
    rows = np.float32([20.0, 1013.0, 0.002, 7.0]) + np.float32([5.0, 8.0, 1e-4, 0.0]) * rng.normal(size=(400, 6, 4))
    rows = rows.astype(np.float32)
    errors = np.square(rows - rows.mean(axis=(0, 1))).mean(axis=1)
    given = types.SimpleNamespace(training=types.SimpleNamespace(images=rows, grey=None))
    ratio, about = measures._over_variance(given, errors.astype(np.float64))
    assert ratio.mean() == pytest.approx(1.0, rel=1e-3) and "of each channel" in about
    given.training.images = np.ones_like(rows)
    assert measures._over_variance(given, errors) == (None, "no channel of the training data varies")


def test_scores_of_disentanglement_have_the_seed_of_the_report(monkeypatch):
    seeds = []

    def measure(embed, factors, seed=0):
        seeds.append(seed)
        return {"mig": 0.0}

    monkeypatch.setattr(measures, "_SCORES", ((measure, {}, 50, ""),))
    model = types.SimpleNamespace(conditional=False, embedding_dim=2, embed=None)
    about = {"progress": lambda *_: None, "figure": lambda *_, **__: None}
    measures.disentanglement(types.SimpleNamespace(model=model, factors=object(), seed=4, **about))
    assert seeds == [4]
