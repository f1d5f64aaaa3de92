"""Round trips of the codec, the sizes of its files, and what it refuses."""

import json
import struct
import subprocess
import sys
import zlib

import keras
import numpy as np
import pytest
from scipy import special, stats

import zoo
from zoo import codec, networks, priors
from zoo.codec import _archive, _container
from zoo.codec._bits_back import BitsBack
from zoo.codec._codes import Codes
from zoo.codec._note import Note
from zoo.codec._passes import LatentPasses
from zoo.codec._tiles import Tiles

pytest.importorskip("constriction")

SHAPE = (8, 8, 1)
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (9, *SHAPE), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
BINARY = (RNG.random((40, *SHAPE)) < 0.5).astype(np.float32)


def vae(likelihood="bernoulli", shape=SHAPE, prior=None):
    keras.utils.set_random_seed(0)
    size = zoo.likelihoods.get(likelihood).params_size(shape[-1])
    encoder, decoder = networks.mlp_encoder(shape, 3, (8,)), networks.mlp_decoder((*shape[:2], size), 3, (8,))
    # Posteriors far from the prior, as trained ones are.
    encoder.get_layer("posterior").bias.assign([0.5, -0.5, 0.1, -4.0, -3.0, -5.0])
    return zoo.VAE(encoder, decoder, likelihood, seed=0, prior=prior)


def hierarchical():
    keras.utils.set_random_seed(0)
    likelihood = zoo.likelihoods.DiscretizedLogisticMixture(2, 3)
    size = {"scales": (4, 2), "width": 8, "hidden": 8}
    encoder = networks.bottom_up_encoder((8, 8, 3), blocks=1, **size)
    decoder = networks.TopDown((8, 8, likelihood.params_size(3)), layers=1, latent_dim=2, **size)
    model = zoo.HierarchicalVAE(encoder, decoder, likelihood, seed=0)
    model(COLOUR[:1] / np.float32(255))
    # Fresh layers have a KL of 0: posteriors equal the priors. With little of it the latents would take no bits.
    for weight in model.trainable_weights:
        weight.assign_add(0.25 * RNG.standard_normal(weight.shape).astype(np.float32))
    return model


def vq_vae(with_prior=True, num_classes=None, quantizer=None):
    keras.utils.set_random_seed(0)
    quantizer = quantizer or zoo.quantizers.VectorQuantizer(16, 4)
    encoder = networks.residual_encoder(SHAPE, code_dim=4, filters=8, blocks=0, downsamples=2)
    decoder = networks.residual_decoder((2, 2, 4), params=1, filters=8, blocks=0, upsamples=2)
    grid = quantizer(np.zeros((1, 2, 2, 4), np.float32))["codes"].shape[1:]
    prior = priors.Transformer(quantizer.num_codes, grid, num_classes, width=8, depth=1, heads=2)
    return zoo.VQVAE(encoder, decoder, quantizer, prior=prior if with_prior else None)


def spread(model):
    """The model with vectors and probabilities that differ as much as those of a trained one."""
    last = model.encoder.layers[-1]
    last.kernel.assign(last.kernel / np.std(model.features(RNG.random((50, *SHAPE), dtype=np.float32)), axis=(0, 1, 2)))
    for weight in model.prior.trainable_weights:
        weight.assign_add(0.5 * RNG.standard_normal(weight.shape).astype(np.float32))
    return model


@pytest.fixture(scope="module")
def flat():
    return vae()


@pytest.fixture(scope="module")
def coded():
    return vq_vae()


LOSSLESS = {
    "bernoulli": (vae, BINARY),
    "logistic": (lambda: vae("discretized_logistic"), GREY),
    "gaussian": (lambda: vae("gaussian"), GREY),
    "mixture, colour": (
        lambda: vae(zoo.likelihoods.DiscretizedLogisticMixture(3, 3), (8, 8, 3)),
        COLOUR.astype(np.float32) / np.float32(255),
    ),
    "hierarchical": (hierarchical, COLOUR),
    "VQ-VAE": (vq_vae, GREY),
    "VQ-VAE, one code": (lambda: vq_vae(quantizer=zoo.quantizers.VectorQuantizer(1, 4)), GREY),
    "VQ-VAE, residual": (lambda: vq_vae(quantizer=zoo.quantizers.ResidualQuantizer(8, 4, depth=2)), GREY),
    "VQ-VAE, finite scalar": (lambda: vq_vae(quantizer=zoo.quantizers.FiniteScalarQuantizer((3, 3, 3, 3))), GREY),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_every_pixel_comes_back(name):
    build, images = LOSSLESS[name]
    model = build()
    data = codec.compress(model, images, lossless=True, verify=False)
    restored = codec.decompress(model, data)
    assert restored.dtype == images.dtype
    np.testing.assert_array_equal(restored, images)
    assert all(map(any, _container.unpack(data)[0]["settings"].get("bits", []))), "each layer has latents with bits"


def test_bits_back_takes_the_negative_elbo():
    model = vae()
    images = (RNG.random((1000, *SHAPE)) < 0.5).astype(np.float32)
    elbo = float(np.mean(model.log_prob(images, 1)))
    data = codec.compress(model, images, verify=False)
    header, words = _container.unpack(data)
    start = 32 * header["settings"]["initial"]
    assert header["settings"]["bits"][0] > [3, 3, 3]
    assert 32 * len(words) - start == pytest.approx(-elbo / np.log(2) * len(images), rel=0.01)


def test_codes_take_their_cross_entropy(coded):
    images = RNG.random((200, *SHAPE), dtype=np.float32)
    nats = -float(np.sum(coded.prior.log_prob(coded.encode(images))))
    _, words = _container.unpack(codec.compress(coded, images, verify=False))
    assert 32 * len(words) == pytest.approx(nats / np.log(2), rel=0.01, abs=64)


def test_one_code_takes_no_bits():
    model = vq_vae(quantizer=zoo.quantizers.VectorQuantizer(1, 4))
    _, words = _container.unpack(codec.compress(model, RNG.random((200, *SHAPE), dtype=np.float32), verify=False))
    assert len(words) <= 2  # the coder's state; a bit a code would take 25


def test_a_lossy_file_gives_the_reconstructions(coded):
    images = RNG.random((70, *SHAPE), dtype=np.float32)  # more than a batch
    restored = codec.decompress(coded, codec.compress(coded, images))
    np.testing.assert_allclose(restored, coded.reconstruct(images), atol=1e-6)
    as_bytes = codec.decompress(coded, codec.compress(coded, GREY))
    expected = 255.0 * np.asarray(coded.reconstruct(GREY / np.float32(255)))
    assert as_bytes.dtype == np.uint8
    assert np.abs(as_bytes - expected).max() <= 0.501
    several = codec.decompress(coded, codec.compress(coded, list(GREY[:3])))
    assert isinstance(several, list)
    np.testing.assert_array_equal(np.stack(several), as_bytes[:3])


def test_levels_are_asked_of_the_likelihood_only_where_pixels_are_kept():
    """A lossy file needs no probabilities of pixels, and one with the pixels those of its own levels."""
    for likelihood, images, lossless in (
        (zoo.likelihoods.Gaussian(range=None), BINARY[:3], None),
        (zoo.likelihoods.Bernoulli(), BINARY[:3], True),
    ):
        plain = vq_vae()
        model = zoo.VQVAE(plain.encoder, plain.decoder, plain.quantizer, likelihood, prior=plain.prior)
        restored = codec.decompress(model, codec.compress(model, images, lossless))
        np.testing.assert_allclose(restored, images if lossless else model.reconstruct(images), atol=1e-6)


def test_the_bins_rest_on_the_posteriors_of_the_images():
    model = vae()
    (scales,), (kls,) = BitsBack(model)._statistics(BINARY[:16])
    found = {name: np.asarray(value) for name, value in model.encode(BINARY[:16]).items()}
    scale = np.exp(0.5 * found["log_var"])
    np.testing.assert_allclose(scales, np.quantile(scale, 0.1, axis=0), rtol=1e-4)
    kl = (0.5 * (found["mean"] ** 2 + scale**2 - 1.0) - np.log(scale)).mean(axis=0)
    np.testing.assert_allclose(kls, kl, rtol=1e-4)


def test_the_bits_of_the_latents_count_once_for_the_start():
    """They are the entropy of the bins of an image, 64 of equal mass under the prior, for its three latents."""
    model = vae()
    start, one, two = (BitsBack(model)._expected_bits(np.uint8(BINARY[:16]), [[6] * 3], n) for n in (0, 1, 2))
    mean, log_var = (np.asarray(each)[..., None] for each in model.encode(BINARY[:16]).values())
    masses = np.diff(stats.norm.cdf(stats.norm.ppf(np.arange(65) / 64), mean, np.exp(0.5 * log_var)))
    assert start == pytest.approx(-special.xlogy(masses, masses).sum() / np.log(2) / 16, rel=0.1)
    assert two - one == pytest.approx(one - start)


def test_posteriors_of_layers_are_in_units_of_their_priors():
    model, x, found, expected = hierarchical(), COLOUR[:1] / np.float32(255), [], []

    def choose(layer, posterior):
        found.extend(posterior)
        return np.zeros_like(posterior[0], np.float32)

    def mean_of_prior(block, prior, posterior):
        mean, log_var, own_mean, own_log_var = (np.asarray(each) for each in (*prior, *posterior))
        assert np.abs(log_var).max() > 0.02
        expected.extend([(own_mean - mean) / np.exp(log_var / 2), np.exp((own_log_var - log_var) / 2)])
        return prior[0]

    LatentPasses(model, 1).infer(x, choose)
    model.top_down(mean_of_prior, model.features(x))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("quantizer", [None, zoo.quantizers.FiniteScalarQuantizer((2, 3, 2, 3))])
def test_a_rate_weight_chooses_codes_by_their_distance_and_their_bits(quantizer):
    model, images = spread(vq_vae(quantizer=quantizer)), RNG.random((8, *SHAPE), dtype=np.float32)
    number = model.quantizer.num_codes
    vectors = np.asarray(model.quantizer.lookup(np.arange(number)))
    apart = np.square(vectors[:, None] - vectors).sum(axis=-1) + np.diag(np.full(number, np.inf))
    distances = np.asarray(model.quantizer.distances(model.features(images))).reshape(8, -1, number)
    codes = np.zeros((8, 2, 2), np.int32)
    for place in range(4):
        logits = np.asarray(model.prior(codes)).reshape(8, 4, -1)[:, place]  # of the codes before the place alone
        bits = -(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))) / np.log(2)
        chosen = np.argmin(distances[:, place] / apart.min(axis=1).mean() + 1.5 * bits, axis=1)
        codes[:, place // 2, place % 2] = chosen
    assert not np.array_equal(codes, model.encode(images))
    restored = codec.decompress(model, codec.compress(model, images, rate_weight=1.5))
    np.testing.assert_allclose(restored, model.decode(codes), atol=1e-6)


def test_a_larger_rate_weight_writes_fewer_bytes():
    model, images = spread(vq_vae()), RNG.random((200, *SHAPE), dtype=np.float32)
    sizes = [len(codec.compress(model, images, verify=False, rate_weight=weight)) for weight in (0.0, 0.2, 5.0)]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize(
    ("model", "kwargs", "message"),
    [
        (vae, {}, "`rate_weight` to be 0, unless a VQ-VAE writes a lossy file. Received: rate_weight=0.1"),
        (vq_vae, {"lossless": True}, "`rate_weight` to be 0, unless a VQ-VAE writes a lossy file"),
        (vq_vae, {"rate_weight": -1.0}, "`rate_weight` to be a finite number >= 0. Received: rate_weight=-1.0"),
        (vq_vae, {"rate_weight": float("nan")}, "`rate_weight` to be a finite number >= 0"),
        (
            lambda: vq_vae(quantizer=zoo.quantizers.ResidualQuantizer(8, 4, depth=2)), {},
            "one with one code for each vector. Received: quantizer=<ResidualQuantizer",
        ),
    ],
)  # fmt: skip
def test_a_rate_weight_that_cannot_be_is_refused(model, kwargs, message):
    with pytest.raises(ValueError, match=message):
        codec.compress(model(), BINARY[:2], **{"rate_weight": 0.1, **kwargs})


def test_pictures_of_any_size_keep_it(coded):
    images = [RNG.integers(0, 256, (*size, 1), dtype=np.uint8) for size in ((8, 8), (5, 17), (1, 1))]
    restored = codec.decompress(coded, codec.compress(coded, images, lossless=True, names=["a", "b", "c"]))
    assert isinstance(restored, list)
    for image, expected in zip(restored, images, strict=True):
        np.testing.assert_array_equal(image, expected)
    one = codec.decompress(coded, codec.compress(coded, images[1], lossless=True))
    np.testing.assert_array_equal(one, images[1])


def test_the_same_images_give_the_same_file(flat):
    assert codec.compress(flat, BINARY) == codec.compress(flat, BINARY, verify=False)


def test_progress_ends_with_all_images(coded):
    calls = []
    codec.compress(coded, GREY, progress=lambda done, number: calls.append((done, number)))
    assert calls[-1] == (9, 9)


def test_describe(coded):
    about = codec.describe(codec.compress(coded, GREY[:2], names=["one", "two"]))
    assert (about["scheme"], about["class"], about["names"]) == ("codes", "VQVAE", ["one", "two"])
    assert about["shapes"] == [2, 8, 8, 1]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (BINARY * 0.5, "to be 0 or 1"),
        ((BINARY * 254).astype(np.uint8), "0 or 255"),
        (np.full((2, *SHAPE), np.nan, np.float32), "floats in"),
        (BINARY - 1.0, "floats in"),
        (BINARY.astype(np.int32), "uint8, or floats"),
        (np.zeros((2, 8, 8, 3), np.uint8), "of 1 channels"),
        (np.zeros((0, *SHAPE), np.uint8), "shape"),
        (np.zeros((8, 8), np.uint8), "shape"),
        ([], "list of"),
        ([np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.float32)], "one dtype"),
    ],
)
def test_images_that_cannot_be_compressed_are_refused(flat, images, message):
    with pytest.raises(ValueError, match=r"Expected `images`.*" + message):
        codec.compress(flat, images)


def test_models_that_cannot_compress_are_refused(flat, coded):
    keras.utils.set_random_seed(0)
    conditional = zoo.CVAE(
        networks.mlp_encoder((8, 8, SHAPE[-1] + 3), 2, ()), networks.mlp_decoder(SHAPE, 5, ()), num_classes=3
    )
    for model, message in (
        (vae(prior=priors.Flow(3)), "standard normal prior"),
        (vq_vae(with_prior=False), "no prior"),
        (vq_vae(num_classes=2), "a prior of labels"),
        (conditional, "without labels"),
        ("model", "a model of the zoo"),
    ):
        with pytest.raises(ValueError, match=r"Expected `model`.*" + message):
            codec.compress(model, BINARY)
    with pytest.raises(ValueError, match="Expected `lossless`"):
        codec.compress(flat, BINARY, lossless=False)
    with pytest.raises(ValueError, match="Expected `names`"):
        codec.compress(coded, GREY, names=["one"])


# Files.


@pytest.fixture(scope="module")
def written(flat):
    return codec.compress(flat, BINARY)


def sealed(data, **changes):
    """The file with other entries in its header, and a checksum that fits."""
    header, words = _container.unpack(data)
    return _container.pack({**header, **changes}, words)


def test_files_that_were_cut_or_altered_are_refused(flat, written):
    rng = np.random.default_rng(1)
    for _ in range(2000):
        altered = bytearray(written)
        for _ in range(rng.integers(1, 4)):
            altered[rng.integers(len(altered))] ^= int(rng.integers(1, 256))
        if rng.random() < 0.3:
            altered = altered[: rng.integers(len(altered))]
        with pytest.raises(ValueError, match="Expected `data`"):
            codec.decompress(flat, bytes(altered))


def test_altered_words_with_a_fitting_checksum_never_give_wrong_pixels(flat, written):
    """Someone who computes the outer checksum again: the check of the pixels holds."""
    header, words = _container.unpack(written)
    passes = _archive.BitsBack(flat)
    rng, refused = np.random.default_rng(2), 0
    for _ in range(40):
        altered = words.copy()
        altered[rng.integers(len(words))] ^= np.uint32(1 << rng.integers(32))
        altered = altered[: len(words) - rng.integers(0, 3)]
        try:
            restored = _archive._decompress(flat, _container.pack(header, altered), None, passes)
        except ValueError:
            refused += 1
        else:
            np.testing.assert_array_equal(restored, BINARY)
    assert refused >= 39


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scheme": "raw"}, "`data` to be one of"),
        ({"scheme": "codes"}, "a file for a VAE"),
        ({"weights": "0" * 16}, "`model` to be the one that wrote the file"),
        ({"shapes": [1 << 31, 8, 8, 1]}, "at most"),
        ({"shapes": [10**6, 8, 8, 1]}, "tiles"),
        ({"shapes": [40, 8, 8]}, "shapes of images"),
        ({"shapes": [[8, 8, True]]}, "shapes of images"),
        ({"settings": {}}, "bits for 1 layers"),
        ({"settings": {"bits": [[99, 1, 1]], "batches": [[1, 40]], "initial": 3}}, "numbers of bits"),
        ({"settings": {"bits": [[1, 1, 1]], "batches": [[3, 1]], "initial": 3}}, "runs of batches"),
        ({"settings": {"bits": [[1, 1, 1]], "batches": [[True, 40]], "initial": 3}}, "runs of batches"),
        ({"networks": "other", "made": {"tensorflow": "2.1"}}, "tensorflow 2.1 there"),
        ({"check": 1}, "nothing is returned"),
        ({"dtype": "complex"}, "`data` to be one of"),
    ],
)
def test_headers_that_cannot_be_are_refused(flat, written, changes, message):
    with pytest.raises(ValueError, match=message):
        codec.decompress(flat, sealed(written, **changes))


@pytest.mark.parametrize("initial", [-3, 0, 1 << 40, "2", None])
def test_words_at_the_start_that_cannot_be_are_refused(flat, written, initial):
    settings = codec.describe(written)["settings"]
    with pytest.raises(ValueError, match=r"initial|it ended early"):
        codec.decompress(flat, sealed(written, settings={**settings, "initial": initial}))


@pytest.mark.parametrize("lossless", [False, True])
def test_a_file_of_codes_that_claims_a_million_images_is_refused_at_its_end(coded, lossless):
    written = codec.compress(coded, GREY, lossless)
    settings = {**codec.describe(written)["settings"], "batch": 64, "number": 10**6}
    passes = _archive.Codes(coded, lossless)
    passes.configure(settings)
    changes = {"settings": settings, "shapes": [10**6, *SHAPE], "networks": passes.digest(settings)}
    with pytest.raises(ValueError, match="it ended early"):
        codec.decompress(coded, sealed(written, **changes))


def test_foreign_and_newer_files_are_refused(flat, written):
    with pytest.raises(ValueError, match="written by zoo.codec"):
        codec.describe(b"PK\x03\x04 something else")
    with pytest.raises(ValueError, match="a whole file"):
        codec.describe(written[:9])
    newer = bytearray(written)
    newer[6] = 2
    with pytest.raises(ValueError, match="newer version"):
        codec.describe(bytes(newer))
    with pytest.raises(ValueError, match="the bytes of a compressed file"):
        codec.describe("text")
    body = b"\x89VAEZ\n" + struct.pack("<BI", 1, 4) + zlib.compress(json.dumps([]).encode())
    with pytest.raises(ValueError, match="header"):
        codec.describe(body + struct.pack("<I", zlib.crc32(body)))


def test_a_file_of_another_model_is_refused(written):
    keras.utils.set_random_seed(1)
    other = zoo.VAE(networks.mlp_encoder(SHAPE, 3, (8,)), networks.mlp_decoder(SHAPE, 3, (8,)))
    with pytest.raises(ValueError, match="Expected `model` to be the one that wrote the file"):
        codec.decompress(other, written)


def test_a_batch_that_needs_more_than_the_stack_has_is_written_again(flat, monkeypatch):
    """With batches far too large at first, the words end early; the next margin is larger."""
    sizes = []
    write = _archive.BitsBack._write

    def note(self, x, margin, note):
        sizes.append(margin)
        return write(self, x, margin / 1000 if len(sizes) == 1 else margin, note)

    monkeypatch.setattr(_archive.BitsBack, "_write", note)
    images = np.concatenate([BINARY] * 3)
    np.testing.assert_array_equal(codec.decompress(flat, codec.compress(flat, images)), images)
    assert len(sizes) == 2


THREADS = """
import sys

import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))
import keras

import zoo

model = keras.models.load_model(sys.argv[2], compile=False)
images = np.load(sys.argv[3])
if sys.argv[4] == "write":
    open(sys.argv[5], "wb").write(zoo.codec.compress(model, images))
else:
    try:
        restored = zoo.codec.decompress(model, open(sys.argv[5], "rb").read())
    except ValueError as error:
        assert "to the last bit" in str(error) or "nothing is returned" in str(error), error
        print("refused")
    else:
        np.testing.assert_array_equal(restored, images)
        print("equal")
"""


@pytest.mark.slow
@pytest.mark.parametrize("writer, reader", [(1, 2), (2, 1)])
@pytest.mark.parametrize("name", ["bernoulli", "hierarchical"])
def test_another_process_with_other_threads_reads_the_file_or_refuses(name, writer, reader, tmp_path):
    build, images = LOSSLESS[name]
    build().save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    arguments = [str(tmp_path / "model.keras"), str(tmp_path / "images.npy")]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", THREADS, str(threads), *arguments, task, str(tmp_path / "file.vaez")],
            check=True, capture_output=True, text=True,
        ).stdout
        for threads, task in ((writer, "write"), (reader, "read"))
    ]  # fmt: skip
    assert outputs[1].strip() in ("equal", "refused")


def test_the_checksum_sees_the_order_of_rows_and_not_that_of_batches():
    rows = np.arange(12, dtype=np.uint8).reshape(4, 3)

    def check(*batches):
        note = Note(4, None)
        for start, values in batches:
            note(start, values)
        return note.check

    whole = check((0, rows))
    assert check((2, rows[2:]), (0, rows[:2])) == whole != check((0, rows[::-1]))


def test_the_progress_is_told_once():
    told = []
    codec.compress(vq_vae(), BINARY[:20], progress=lambda *of: told.append(of))
    assert told == [(20, 20)]


def test_small_latents_may_keep_their_bits(monkeypatch):
    seen, coder = [], BitsBack(vae())
    statistics = [np.full(4, 0.5)], [np.array([1e-4, 5e-3, 0.05, 1.0])]
    monkeypatch.setattr(coder, "_statistics", lambda x: statistics)
    monkeypatch.setattr(coder, "_expected_bits", lambda x, bits, number: seen.append(bits) or 0.0)
    coder._plan(np.zeros((1, *SHAPE), np.uint8))
    assert {bits[0].count(0) for bits in seen} == {0, 1, 2, 3}


def test_words_of_codes_that_end_early():
    coder = Codes(vq_vae(), lossless=False)
    words, settings = coder.write(Tiles(BINARY.repeat(10, axis=0), SHAPE[:2]), Note(400, None))
    coder.configure(settings)
    with pytest.raises(EOFError):
        list(coder.read(words[:2], settings))
