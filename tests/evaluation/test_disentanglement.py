"""Scores of disentanglement of codes that are known: the factors themselves, mixtures of them, and noise."""

import functools
import itertools

import numpy as np
import pytest
from sklearn import metrics

import zoo
from zoo import data, evaluation
from zoo.evaluation import disentanglement

FEW = {"num_examples": 200, "seed": 3}
SETTINGS = {
    evaluation.mig: FEW,
    evaluation.modularity: FEW,
    evaluation.sap: FEW | {"num_test": 200},
    evaluation.dci: FEW | {"num_test": 200, "trees": "forest"},
    evaluation.factor_vae_score: FEW | {"num_test": 200, "batch_size": 16, "num_variance": 500},
}
SCORES = {
    **{function.__name__: function for function in SETTINGS if function is not evaluation.dci},
    "dci_disentanglement": evaluation.dci,
    "dci_completeness": evaluation.dci,
}


def grid(*sizes):
    """Images of one pixel with a channel for each factor, which holds its value; all combinations, once each."""
    values = np.array(list(itertools.product(*map(range, sizes))))
    return data.FactorImages(values.astype(np.uint8)[:, None, None], values, [f"factor{k}" for k in range(len(sizes))])


def values(images):
    """The factors that the images of `grid` hold."""
    return np.round(255 * images[:, 0, 0])


def rotated(images):
    """All factors mixed in each code, by an orthogonal matrix."""
    hadamard = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    return values(images) @ hadamard


def noise(images):
    """Codes that depend on the image in no simple way: the same for the same image, and of variance 1."""
    return np.sin(1e4 * values(images) @ np.random.default_rng(0).normal(size=(4, 4))) * 2**0.5


def measured(function, embed, sizes):
    return function(embed, grid(*sizes), **SETTINGS[function])


once = functools.cache(measured)


@pytest.mark.parametrize("name", SCORES)
def test_factors_score_high_mixtures_lower_and_noise_lower_still(name):
    """Of two values each, the best code predicts a factor always, another half of the time: SAP is at most ½."""
    function, few, many = SCORES[name], (2, 2, 2, 2), (4, 4, 4, 4)
    assert once(function, values, few)[name] / (0.5 if name == "sap" else 1) > 0.85
    best = once(function, values, many)[name]
    assert once(function, rotated, many)[name] < best - 0.1
    if name != "modularity":  # it counts a code with hardly any information like one with much
        assert once(function, noise, many)[name] < 0.4 * best


@pytest.mark.parametrize("name", [name for name in SCORES if name != "sap"])  # its machine has a fixed penalty
def test_scale_order_and_sign_of_the_codes_do_not_matter(name):
    def other(images):
        return values(images)[:, ::-1] * [-3.0, 1e4, 100.0, -1.0] + 7.0

    found = once(SCORES[name], other, (2, 2, 2, 2))[name]
    assert found == pytest.approx(once(SCORES[name], values, (2, 2, 2, 2))[name], abs=0.03)


@pytest.mark.parametrize("function", SETTINGS)
def test_a_seed_gives_the_same_score_whatever_the_batches(function, monkeypatch):
    expected = once(function, values, (2, 2, 2, 2))
    monkeypatch.setattr(disentanglement, "_IMAGES_AT_ONCE", 37)
    assert measured(function, values, (2, 2, 2, 2)) == expected


def test_mig_by_hand():
    """z₀ holds both factors of two values and z₁ the first: gaps of 0 and of ln 2 over ln 2."""

    def embed(images):
        first, second = values(images).T
        return np.stack([first + 2 * second, first], axis=1)

    result = evaluation.mig(embed, grid(2, 2), 4000, num_bins=4)
    assert result["mig_factor0"] == 0.0
    assert result["mig_factor1"] == pytest.approx(1.0, abs=0.01)
    assert result["mig"] == pytest.approx(0.5, abs=0.01)


def test_mig_is_that_of_scikit_learn_s_mutual_information():
    seen = []

    def embed(images):
        found = rotated(images) + np.random.default_rng(0).normal(size=(len(images), 4))
        seen.append((found, values(images).astype(int)))
        return found

    result = evaluation.mig(embed, grid(2, 3, 4, 5), 300, num_bins=20)
    (codes, factors), gaps = seen[0], []
    for factor in factors.T:
        information = []
        for code in codes.T:
            counts, edges = np.histogram(code, 20)
            bins = np.clip(np.searchsorted(edges, code, side="right"), 1, 20)
            np.testing.assert_array_equal(np.bincount(bins, minlength=21)[1:], counts)
            information.append(metrics.mutual_info_score(factor, bins))
        *_, second, first = sorted(information)
        gaps.append((first - second) / metrics.mutual_info_score(factor, factor))
    assert result["mig"] == pytest.approx(np.mean(gaps))
    assert [result[f"mig_factor{k}"] for k in range(4)] == pytest.approx(gaps)


def test_modularity_by_hand():
    """A code of one factor is worth 1, one that holds two equally 0, and one that holds nothing 0."""

    def embed(images):
        first, second = values(images).T
        return np.stack([first, first + 2 * second, np.zeros_like(first)], axis=1)

    assert evaluation.modularity(embed, grid(2, 2), 4000)["modularity"] == pytest.approx(1 / 3, abs=0.01)


def test_sap_by_hand():
    """A factor of two values is told from its own code always, from another half of the time, and from copies alike."""
    one_each = evaluation.sap(values, grid(2, 2), **FEW, num_test=2000)
    assert one_each["sap"] == pytest.approx(0.5, abs=0.05)
    twice = evaluation.sap(lambda images: np.tile(values(images), 2), grid(2, 2), **FEW, num_test=200)
    assert twice["sap"] == 0.0


def test_sap_weighs_a_rare_value_as_much_as_a_common_one():
    """Without weights the machine says the common value always, from either code, and the difference is 0."""
    draw = np.random.default_rng(1)
    factor = (draw.random(4000) < 0.2).astype(int)
    codes = np.stack([np.clip(0.45 + 0.1 * factor + 0.1 * draw.standard_normal(4000), 0, 1), draw.random(4000)], 1)
    images = data.FactorImages(np.round(255 * codes).astype(np.uint8)[:, None, None], factor[:, None], ["rare"])
    found = evaluation.sap(lambda x: 10 * x[:, 0, 0], images, num_examples=2000, seed=0, num_test=2000)
    assert 0.08 < found["sap"] < 0.2


@pytest.mark.parametrize(
    "importance, expected",
    [
        (np.eye(3), 1.0),
        (np.ones((4, 3)), 0.0),
        ([[1.0, 1.0], [0.0, 2.0]], 0.5),  # half of the weight on a row of entropy ln 2, half on one of 0
        ([[0.0, 3.0], [0.0, 0.0]], 1.0),  # a code without importance has no weight
        (np.zeros((2, 2)), 0.0),
    ],
)
def test_concentration_of_importance_by_hand(importance, expected):
    assert disentanglement._concentration(np.array(importance)) == pytest.approx(expected)


def test_a_code_for_two_factors_costs_disentanglement_and_two_codes_for_a_factor_completeness():
    known = grid(3, 3)
    merged = evaluation.dci(lambda images: values(images) @ [[1, 0], [3, 0]], known, **FEW, num_test=200)
    assert merged["dci_disentanglement"] < 0.3 and merged["dci_informativeness"] == 1.0
    doubled = evaluation.dci(lambda images: np.repeat(values(images), 2, axis=1), known, **FEW, num_test=200)
    assert doubled["dci_disentanglement"] > 0.95 > 0.8 > doubled["dci_completeness"]


def test_informativeness_is_of_new_images():
    """Codes that say nothing of a factor of two values, though trees know some of the images they are fitted to."""
    draw = np.random.default_rng(0)
    images = data.FactorImages(
        draw.integers(0, 256, (4000, 1, 1, 4), np.uint8), draw.integers(0, 2, (4000, 2)), ["one", "two"]
    )
    found = evaluation.dci(lambda x: x[:, 0, 0], images, num_examples=200, num_test=2000, trees="forest")
    assert found["dci_informativeness"] == pytest.approx(0.5, abs=0.05)


def test_boosting_and_forest_agree_on_factors():
    settings = {"num_examples": 100, "num_test": 100}
    for trees in ("boosting", "forest"):
        result = evaluation.dci(values, grid(2, 2), **settings, trees=trees)
        assert all(value > 0.99 for value in result.values())


def test_codes_that_hardly_vary_have_no_vote():
    def embed(images):
        first, second = values(images).T
        return np.stack([first, 0.01 * second], axis=1)

    result = evaluation.factor_vae_score(embed, grid(4, 4), **SETTINGS[evaluation.factor_vae_score])
    assert result["active_codes"] == 1 and result["factor_vae_score"] == pytest.approx(0.5, abs=0.1)  # one code: chance
    nothing = evaluation.factor_vae_score(lambda images: np.zeros((len(images), 3)), grid(4, 4), num_variance=50)
    assert nothing == {"factor_vae_score": 0.0, "active_codes": 0.0}


def test_the_factor_vae_score_is_of_new_votes():
    """Of 64 codes of noise most have a vote or none, which says nothing of the next among four factors."""
    draw = np.random.default_rng(0)
    pixels, factors = draw.integers(0, 256, (4000, 1, 1, 64), np.uint8), draw.integers(0, 2, (4000, 4))
    images = data.FactorImages(pixels, factors, ["one", "two", "three", "four"])
    few = {"num_examples": 60, "num_test": 400, "batch_size": 8, "num_variance": 500}
    found = evaluation.factor_vae_score(lambda x: x[:, 0, 0], images, **few)
    assert found == {"factor_vae_score": pytest.approx(0.25, abs=0.1), "active_codes": 64}


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_the_factor_vae_score_does_not_depend_on_the_scale_of_a_code(scale):
    mixed = np.array([[1.0, 0.5 * scale], [0.5, scale]])  # so that no code is constant where a factor is
    settings = SETTINGS[evaluation.factor_vae_score]
    result = evaluation.factor_vae_score(lambda images: values(images) @ mixed, grid(4, 4), **settings)
    assert result["factor_vae_score"] > 0.95


def test_a_factor_of_one_value_says_nothing():
    known = grid(2, 1, 2)
    for function in (evaluation.mig, evaluation.sap):
        assert function(values, known, 200)[f"{function.__name__}_factor1"] == 0.0
    assert evaluation.dci(values, known, 200, trees="forest")["dci_disentanglement"] > 0.95


def test_the_embedding_of_a_model_is_measured_as_it_is():
    sprites = data.Sprites(8)
    encoder = zoo.networks.mlp_encoder(sprites.image_shape, 3, hidden=(4,))
    model = zoo.VAE(encoder, zoo.networks.mlp_decoder(sprites.image_shape, 3, hidden=(4,)), seed=0)
    result = evaluation.mig(model.embed, sprites, 100)
    assert set(result) == {"mig", *(f"mig_{name}" for name in sprites.factor_names)}
    assert all(0 <= value <= 1 for value in result.values())


@pytest.mark.parametrize("function", SETTINGS)
def test_wrong_input_is_refused(function):
    with pytest.raises(ValueError, match=r"`embed` to be a function to codes \[B,E\] with E of at least 2"):
        function(lambda images: images[:, 0, 0, :1], grid(2, 2), 10)
    with pytest.raises(ValueError, match="`num_examples` to be an integer >= 1"):
        function(values, grid(2, 2), 0)


def test_unknown_trees_are_refused():
    with pytest.raises(ValueError, match="`trees` to be one of 'boosting', 'forest'. Received: trees='lasso'"):
        evaluation.dci(values, grid(2, 2), 10, trees="lasso")


@pytest.mark.parametrize("function", [evaluation.modularity, evaluation.dci])
def test_shares_between_factors_need_two_of_them(function):
    with pytest.raises(ValueError, match="Expected `data` to be a set with two factors at least. Received: data='1'"):
        function(lambda images: values(images).repeat(2, axis=1), grid(4), **SETTINGS[function])


def test_what_constant_factors_inform_of_is_refused():
    with pytest.raises(ValueError, match="Expected `data` to be a set with a factor that differs between images"):
        evaluation.dci(values, grid(1, 1), **SETTINGS[evaluation.dci])


@pytest.mark.parametrize("number", [30, 100, 1000])
def test_codes_that_are_constant_have_no_modularity(number):
    constant = lambda images: np.full((len(images), 4), 0.3)  # noqa: E731
    assert evaluation.modularity(constant, grid(3, 4, 5), number) == {"modularity": 0.0}


def test_codes_that_are_no_numbers_and_too_few_images_are_refused():
    with pytest.raises(ValueError, match="Expected `embed` to be a function to finite codes"):
        evaluation.mig(lambda images: values(images) * np.nan, grid(2, 3), **FEW)
    settings = SETTINGS[evaluation.factor_vae_score]
    for name in ("batch_size", "num_variance"):
        with pytest.raises(ValueError, match=f"Expected `{name}` to be an integer >= 2"):
            evaluation.factor_vae_score(values, grid(2, 3), **{**settings, name: 1})


class Changed:
    """The images and factors of `grid`, changed."""

    def __init__(self, images=lambda x: x, factors=lambda x: x):
        self._grid, self._images, self._factors = grid(2, 3), images, factors
        self.factor_names, self.factor_sizes = self._grid.factor_names, self._grid.factor_sizes
        self.sharing = self._grid.sharing

    def __len__(self):
        return len(self._grid)

    def images(self, which):
        return self._images(self._grid.images(which))

    def factors(self, which):
        return self._factors(self._grid.factors(which))


@pytest.mark.parametrize("function", SETTINGS)
def test_data_of_the_users_own_are_as_the_protocol_says(function):
    with pytest.raises(ValueError, match="Expected `data.images` to be a function to uint8 images. Received: .*float"):
        function(values, Changed(images=lambda x: x / 255.0), **SETTINGS[function])
    wrong = (lambda x: x - 1, lambda x: x + 0.5, lambda x: x[:, :1], lambda x: x.astype(str))
    for factors in wrong:
        with pytest.raises(ValueError, match="Expected `data.factors` to be a function to integers >= 0 of shape"):
            function(values, Changed(factors=factors), **SETTINGS[function])


def test_the_seed_decides_the_trees():
    sprites = data.Sprites(image_size=8)

    def embed(images):
        return images.reshape(len(images), -1)[:, 20:28]

    few = {"num_examples": 200, "num_test": 50, "trees": "forest"}
    first, again, other = (evaluation.dci(embed, sprites, seed=seed, **few) for seed in (3, 3, 4))
    assert first == again != other
