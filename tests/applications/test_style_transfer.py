"""Other labels in the same style, and levels of two images put together."""

import numpy as np
import pytest
import tiny_models

from zoo.applications import mix_levels, num_levels, relabel, vary_levels

RNG = np.random.default_rng(0)
CONTENT, STYLE = RNG.uniform(size=(2, 3, 4, 4, 1)).astype("float32")
LABELS = np.array([0, 1, 2], np.int32)


def test_a_new_label_is_decoded_with_the_latents_of_the_old_one():
    model = tiny_models.cvae()
    z = model.encode(CONTENT, LABELS)["mean"]
    new = np.array([1, 1, 0], np.int32)
    np.testing.assert_allclose(relabel(model, CONTENT, LABELS, new), model.decode(z, new), atol=1e-6)
    np.testing.assert_allclose(relabel(model, CONTENT, LABELS, LABELS), model.reconstruct(CONTENT, LABELS), atol=1e-6)


def test_a_model_without_labels_is_refused():
    with pytest.raises(ValueError, match="Expected `model` to be a conditional model, such as a zoo.CVAE.*'VAE'"):
        relabel(tiny_models.vae(), CONTENT, LABELS, LABELS)


@pytest.mark.parametrize("make", [tiny_models.hierarchical_vae, tiny_models.residual_vq_vae])
def test_all_levels_of_an_image_are_the_image(make):
    model = make()
    assert num_levels(model) == 2
    np.testing.assert_allclose(mix_levels(model, CONTENT, STYLE, 2), model.reconstruct(CONTENT), atol=1e-5)
    np.testing.assert_allclose(mix_levels(model, CONTENT, STYLE, 0), model.reconstruct(STYLE), atol=1e-5)


def test_layers_of_a_hierarchical_vae_are_exchanged():
    model = tiny_models.hierarchical_vae()
    top, lower = model.encode(CONTENT)[0]["mean"], model.encode(STYLE)[1]["mean"]
    np.testing.assert_allclose(mix_levels(model, CONTENT, STYLE, 1), model.decode([top, lower]), atol=1e-6)


def test_levels_of_residual_codes_are_exchanged():
    """The vectors are the first level's of one image and the second level's of the other, by the codebooks."""
    model = tiny_models.residual_vq_vae()
    first, second = (np.asarray(level.embeddings) for level in model.quantizer.quantizers)
    vectors = first[np.asarray(model.encode(CONTENT))[..., 0::2]] + second[np.asarray(model.encode(STYLE))[..., 1::2]]
    expected = model.likelihood.mean(model.likelihood_params(vectors))
    np.testing.assert_allclose(mix_levels(model, CONTENT, STYLE, 1), expected, atol=1e-5)


def test_variations_keep_the_top_layers():
    model = tiny_models.hierarchical_vae()
    varied = vary_levels(model, CONTENT, num_top=1, num_samples=2, seed=3, temperature=0.5)
    assert varied.shape == (3, 2, 4, 4, 1)
    top = np.repeat(model.encode(CONTENT)[0]["mean"], 2, axis=0)
    rows = model.sample(6, seed=3, temperature=0.5, given=[top])
    np.testing.assert_allclose(varied.reshape(6, 4, 4, 1), rows, atol=1e-6)
    whole = vary_levels(model, CONTENT, num_top=2, num_samples=1, seed=3)
    np.testing.assert_allclose(whole[:, 0], model.reconstruct(CONTENT), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (tiny_models.vae, {}, "Expected `model` to be a hierarchical VAE or a VQ-VAE with residual codes.*'VAE'"),
        (tiny_models.vq_vae, {}, "Expected `model` to be a hierarchical VAE or a VQ-VAE with residual codes.*'VQVAE'"),
        (tiny_models.hierarchical_vae, {"num_top": 3}, "Expected `num_top` to be an integer from 0 to 2"),
        (tiny_models.hierarchical_vae, {"num_top": -1}, "Expected `num_top` to be an integer >= 0"),
        (tiny_models.hierarchical_vae, {"style": STYLE[:2]}, "Expected `style` to be of content's shape"),
    ],
)
def test_wrong_mixtures_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        mix_levels(**{"model": make(), "content": CONTENT, "style": STYLE, "num_top": 1, **arguments})


def test_variations_need_layers_of_latents():
    with pytest.raises(ValueError, match="Expected `model` to be a hierarchical VAE. Received: model='VQVAE'"):
        vary_levels(tiny_models.residual_vq_vae(), CONTENT, 1)
