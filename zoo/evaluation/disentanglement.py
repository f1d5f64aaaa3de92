"""Scores of disentanglement: does each latent stand for one factor of the data, and each factor for one latent?

The scores follow the protocol of disentanglement_lib (Locatello et al. 2019, "Challenging Common Assumptions in the
Unsupervised Learning of Disentangled Representations"): the same numbers of points, 20 bins, the same classifiers.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from zoo.runtime import checks
from zoo.runtime.types import ArrayLike

_IMAGES_AT_ONCE = 4096
_ROUNDING = 1e-12  # nats, that sums of probabilities leave where there is no information
_INACTIVE = 0.05  # standard deviation below which the FactorVAE score ignores a latent


class FactorData(Protocol):
    """Images whose factors are known, such as `zoo.data.Sprites` and `zoo.data.FactorImages`.

    Attributes:
        factor_names: strs.
        factor_sizes: ints, the number of values of each factor.
    """

    @property
    def factor_names(self) -> Sequence[str]: ...

    @property
    def factor_sizes(self) -> Sequence[int]: ...

    def __len__(self) -> int: ...

    def images(self, which: np.ndarray, /) -> np.ndarray:
        """The images at the indices `which`, integers `[N]`: uint8 `[N,H,W,C]`."""

    def factors(self, which: np.ndarray, /) -> np.ndarray:
        """Their factors, integers `[N,F]`."""

    def sharing(self, factor: int, number: int, rng: np.random.Generator, /) -> np.ndarray:
        """The indices of `number` random images that have the same random value of one factor."""


Embed = Callable[[np.ndarray], ArrayLike]


def mig(
    embed: Embed, data: FactorData, num_examples: int = 10_000, seed: int = 0, num_bins: int = 20
) -> dict[str, float]:
    """The mutual information gap.

        MIG = 1/F Σ_k ( I(z_j; v_k) − max_{i≠j} I(z_i; v_k) ) / H(v_k),    j = argmax_i I(z_i; v_k)

    (Chen et al. 2018, "Isolating Sources of Disentanglement in Variational Autoencoders", eq. (6).) Deviation, as in
    disentanglement_lib: z is the embedding, and I is that of a histogram of its values.

    Args:
        embed: function from float32 images in [0, 1], `[B,H,W,C]`, to codes `[B,E]`, such as `model.embed`.
        data: `FactorData`, such as `zoo.data.Sprites`.
        num_examples: int >= 1, random images.
        seed: int, of the choice of images.
        num_bins: int >= 1, bins of equal width between the smallest and the largest value of a code.

    Returns:
        dict of floats from 0 to 1: `mig`, and `mig_<factor>` for each factor.

    Example:
        >>> sprites = zoo.data.Sprites(image_size=8)
        >>> zoo.evaluation.mig(lambda images: images.mean(axis=(1, 2)).repeat(2, axis=1), sprites, num_examples=100)
        {'mig': 0.0, …}
    """
    codes, factors = _examples(embed, data, num_examples, np.random.default_rng(seed))
    information = _mutual_information(_bins(codes, num_bins), factors)
    entropies = np.array([_information(column, column) for column in factors.T])
    gaps = np.divide(_lead(information), entropies, out=np.zeros_like(entropies), where=entropies > 0)
    return {"mig": float(gaps.mean())} | {f"mig_{name}": float(gap) for name, gap in zip(data.factor_names, gaps)}


def modularity(
    embed: Embed, data: FactorData, num_examples: int = 10_000, seed: int = 0, num_bins: int = 20
) -> dict[str, float]:
    """The modularity: how close each code is to having information about one factor only.

        modularity = 1/E Σ_i ( 1 − Σ_{k≠l} I(z_i; v_k)² / ( (F − 1) I(z_i; v_l)² ) ),    l = argmax_k I(z_i; v_k)

    (Ridgeway & Mozer 2018, "Learning Deep Disentangled Embeddings with the F-Statistic Loss", section 3.) A code
    without information counts as 0, as in disentanglement_lib. But information that is estimated by counts is hardly
    ever 0, and more for factors of many values: codes of pure noise score around 0.6. Read it beside `mig`, which is
    then 0.

    Args:
        embed, data, num_examples, seed, num_bins: as in `mig`.

    Returns:
        dict of a float from 0 to 1: `modularity`.

    Raises:
        ValueError: for data with a single factor, or as in `mig`.
    """
    _require_two_factors(data)
    codes, factors = _examples(embed, data, num_examples, np.random.default_rng(seed))
    squares = np.square(_mutual_information(_bins(codes, num_bins), factors))
    best = squares.max(axis=1)
    others = (squares.sum(axis=1) - best) / (factors.shape[1] - 1)
    scores = np.where(best > 0, 1.0 - others / np.where(best > 0, best, 1.0), 0.0)
    return {"modularity": float(scores.mean())}


def sap(
    embed: Embed, data: FactorData, num_examples: int = 10_000, seed: int = 0, num_test: int = 5_000
) -> dict[str, float]:
    """The separated attribute predictability: for each factor, the best single code's lead over the second best.

        SAP = 1/F Σ_k ( A_jk − max_{i≠j} A_ik ),    j = argmax_i A_ik

    A_ik is the accuracy on new images of a linear support vector machine (C = 0.01, balanced classes) that predicts
    factor k from code i alone (Kumar et al. 2018, "Variational Inference of Disentangled Latent Concepts from Unlabeled
    Observations", section 3). The machine's penalty is fixed: the score depends on the scale of the codes.

    Args:
        embed, data, seed: as in `mig`.
        num_examples, num_test: ints >= 1, random images to fit on and to measure on.

    Returns:
        dict of floats from 0 to 1: `sap`, and `sap_<factor>` for each factor.
    """
    from sklearn import svm  # here, as importing zoo must not import it

    rng = np.random.default_rng(seed)
    codes, factors = _examples(embed, data, num_examples, rng)
    test_codes, test_factors = _examples(embed, data, num_test, rng)
    accuracies = np.zeros((codes.shape[1], factors.shape[1]))
    for code, factor in np.ndindex(accuracies.shape):
        if len(np.unique(factors[:, factor])) > 1:
            machine = svm.LinearSVC(C=0.01, class_weight="balanced", dual=False)
            machine.fit(codes[:, [code]], factors[:, factor])
            accuracies[code, factor] = machine.score(test_codes[:, [code]], test_factors[:, factor])
    leads = _lead(accuracies)
    return {"sap": float(leads.mean())} | {f"sap_{name}": float(lead) for name, lead in zip(data.factor_names, leads)}


def dci(
    embed: Embed,
    data: FactorData,
    num_examples: int = 10_000,
    seed: int = 0,
    num_test: int = 5_000,
    trees: str = "boosting",
) -> dict[str, float]:
    """Disentanglement, completeness and informativeness, from the importance R_ik of code i for predicting factor k.

        disentanglement = Σ_i w_i ( 1 − H(R_i·) / log F ),    w_i the share of code i of the whole importance
        completeness    = Σ_k w_k ( 1 − H(R_·k) / log E )
        informativeness = the mean accuracy of the predictions for new images

    (Eastwood & Williams 2018, "A Framework for the Quantitative Evaluation of Disentangled Representations", section
    2.) H is the entropy of a row or column divided by its sum. The paper predicts by lasso and by random forests;
    disentanglement_lib by gradient boosted trees.

    Args:
        embed, data, seed: as in `mig`.
        num_examples, num_test: ints >= 1, random images to fit on and to measure on.
        trees: "boosting" for scikit-learn's `GradientBoostingClassifier`, one tree for each value of a factor in each
            of its 100 rounds, as in disentanglement_lib. "forest" for its `RandomForestClassifier` of 20 trees that
            split by all codes, with at least 5 examples in a leaf: many times faster, with scores of its own.

    Returns:
        dict of floats from 0 to 1: `dci_disentanglement`, `dci_completeness`, `dci_informativeness`.

    Raises:
        ValueError: for data with a single factor, or factors that all are constant, or as in `mig`.
    """
    _require_two_factors(data)
    rng = np.random.default_rng(seed)
    codes, factors = _examples(embed, data, num_examples, rng)
    test_codes, test_factors = _examples(embed, data, num_test, rng)
    make = _classifier(checks.one_of("trees", trees, ("boosting", "forest")), seed)
    importance, accuracies = np.zeros((codes.shape[1], factors.shape[1])), []
    for factor, values in enumerate(factors.T):
        if len(np.unique(values)) == 1:
            continue
        classifier = make().fit(codes, values)
        importance[:, factor] = classifier.feature_importances_
        accuracies.append(classifier.score(test_codes, test_factors[:, factor]))
    if not accuracies:
        checks.fail("data", "a set with a factor that differs between images", "constant factors")
    return {
        "dci_disentanglement": _concentration(importance),
        "dci_completeness": _concentration(importance.T),
        "dci_informativeness": float(np.mean(accuracies)),
    }


def factor_vae_score(
    embed: Embed,
    data: FactorData,
    num_examples: int = 10_000,
    seed: int = 0,
    num_test: int = 5_000,
    batch_size: int = 64,
    num_variance: int = 10_000,
) -> dict[str, float]:
    """The score of the FactorVAE: can the factor that images share be told from the code that varies least?

    For each vote a random factor has the same value in a batch of random images. The code with the smallest variance in
    the batch, relative to that over all images, votes for that factor. Each code predicts the factor that most of its
    votes are for; the score is the accuracy of this prediction for new votes (Kim & Mnih 2018, "Disentangling by
    Factorising", section 4). Codes with a standard deviation below 0.05 have no vote, as in disentanglement_lib.

    Args:
        embed, data, seed: as in `mig`.
        num_examples, num_test: ints >= 1, votes to fit on and to measure on. Each takes `batch_size` images.
        batch_size: int >= 2.
        num_variance: int >= 2, random images for the variances over all images.

    Returns:
        dict of floats: `factor_vae_score`, from 0 to 1, and `active_codes`, the number of codes that vote. The score is
        0 if there are none.
    """
    checks.integer("batch_size", batch_size, 2)
    rng = np.random.default_rng(seed)
    codes, _ = _examples(embed, data, checks.integer("num_variance", num_variance, 2), rng)
    variances = codes.var(axis=0, ddof=1)
    active = np.sqrt(variances) >= _INACTIVE
    if not active.any():
        return {"factor_vae_score": 0.0, "active_codes": 0.0}
    votes = [
        _votes(embed, data, number, batch_size, variances, active, rng)
        for number in (checks.positive_int("num_examples", num_examples), checks.positive_int("num_test", num_test))
    ]
    right = votes[1][votes[0].argmax(axis=0), np.arange(active.sum())].sum()
    return {"factor_vae_score": float(right / votes[1].sum()), "active_codes": float(active.sum())}


def _require_two_factors(data):
    if len(data.factor_sizes) < 2:
        checks.fail("data", "a set with two factors at least", f"{len(data.factor_sizes)}")


def _examples(embed, data, number, rng):
    """Codes float64 `[N,E]` of random images, and their factors, integers `[N,F]`."""
    indices = rng.integers(len(data), size=checks.positive_int("num_examples", number))
    factors = np.asarray(data.factors(indices))
    expected = (number, len(data.factor_names))
    if factors.shape != expected or factors.dtype.kind not in "iu" or factors.min() < 0:
        received = f"{factors.dtype} of shape {factors.shape}"
        checks.fail("data.factors", f"a function to integers >= 0 of shape {expected}, by factor_names", received)
    return _codes(embed, data, indices), factors


def _floats(images):
    if images.dtype != np.uint8:
        checks.fail("data.images", "a function to uint8 images", images.dtype)
    return images.astype(np.float32) / 255.0


def _codes(embed, data, indices):
    parts = np.split(indices, range(_IMAGES_AT_ONCE, len(indices), _IMAGES_AT_ONCE))
    codes = [np.asarray(embed(_floats(data.images(part))), np.float64) for part in parts]
    if any(part.ndim != 2 or part.shape[1] < 2 for part in codes):
        checks.fail("embed", "a function to codes [B,E] with E of at least 2", f"codes of shape {codes[0].shape}")
    found = np.concatenate(codes)
    if not np.isfinite(found).all():
        checks.fail("embed", "a function to finite codes", f"{int((~np.isfinite(found)).sum())} of {found.size}")
    return found


def _bins(codes, number):
    """Codes as the numbers of their bins: int64 `[N,E]`."""
    checks.positive_int("num_bins", number)
    edges = [np.histogram_bin_edges(column, number)[:-1] for column in codes.T]
    return np.stack([np.digitize(column, of_column) for column, of_column in zip(codes.T, edges)], axis=1)


def _mutual_information(codes, factors):
    """I(z_i; v_k) of integers `[N,E]` and `[N,F]`: nats, `[E,F]`."""
    return np.array([[_information(code, factor) for factor in factors.T] for code in codes.T])


def _information(first, second):
    """The mutual information of two columns of integers, nats; of a column and itself it is the entropy."""
    width = int(second.max()) + 1
    counts = np.bincount(first.astype(np.int64) * width + second, minlength=(int(first.max()) + 1) * width)
    joint = counts.reshape(-1, width) / len(first)
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    seen = joint > 0
    found = float(np.sum(joint[seen] * np.log(joint[seen] / independent[seen])))
    return found if found > _ROUNDING else 0.0


def _lead(scores):
    """The largest score of each column less the second largest."""
    ordered = np.sort(scores, axis=0)
    return ordered[-1] - ordered[-2]


def _concentration(importance):
    """1 less the entropy of each row, in units of the largest possible, weighted by the sums of the rows."""
    sums = importance.sum(axis=1)
    if not sums.any():
        return 0.0
    shares = importance[sums > 0] / sums[sums > 0, None]
    entropies = -np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=1)
    return float(np.sum(sums[sums > 0] / sums.sum() * (1.0 - entropies / np.log(importance.shape[1]))))


def _classifier(trees, seed):
    """A function that makes the classifier of `dci`."""
    from sklearn import ensemble  # here, as importing zoo must not import it

    if trees == "boosting":
        return lambda: ensemble.GradientBoostingClassifier(random_state=seed)
    return lambda: ensemble.RandomForestClassifier(20, min_samples_leaf=5, max_features=None, random_state=seed)


def _votes(embed, data, number, batch_size, variances, active, rng):
    """How often each active code votes for each factor: ints `[F, active codes]`."""
    votes = np.zeros((len(data.factor_sizes), active.sum()), np.int64)
    at_once = max(1, _IMAGES_AT_ONCE // batch_size)
    for begin in range(0, number, at_once):
        factors = rng.integers(len(data.factor_sizes), size=min(at_once, number - begin))
        indices = np.concatenate([data.sharing(factor, batch_size, rng) for factor in factors])
        codes = _codes(embed, data, indices)[:, active].reshape(len(factors), batch_size, -1)
        least = np.argmin(codes.var(axis=1, ddof=1) / variances[active], axis=1)
        np.add.at(votes, (factors, least), 1)
    return votes
