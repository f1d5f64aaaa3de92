"""Anomalies: one score of a VAE beside PCA, isolation forest and the length of the PNG."""

from zoo import applications, likelihoods
from zoo.applications import _scores

import numpy as np
from scipy import ndimage
from sklearn import decomposition, ensemble, metrics, neighbors
from uses import models

# Settings of the detector by the name of the method.
SCORES = {
    score: {"score": score}
    for score in ("density_of_states", "error_per_nat", "complexity", "reconstruction", "elbo", "latent")
}
SMOOTHING = 1.5  # pixels
BY_CLASS = {
    "one_class": {
        "reconstruction, smoothed": {"score": "reconstruction", "smoothing": SMOOTHING},
        "reconstruction": {"score": "reconstruction"},
        "latent": {"score": "latent"},
    },
    "held_out": {
        "local_outlier": {"score": "local_outlier", "calibration": 0.1},
        "latent_density, smoothed": {"score": "latent_density", "smoothing": SMOOTHING, "calibration": 0.1},
        "reconstruction": {"score": "reconstruction"},
        "latent": {"score": "latent"},
    },
}


def auroc(normal, anomalous):
    """The chance that an anomaly has a higher score than a normal example."""
    truth = np.repeat([0, 1], [len(normal), len(anomalous)])
    return float(metrics.roc_auc_score(truth, np.concatenate([normal, anomalous])))


def fit_pca(train, components):
    """Principal components of images."""
    return decomposition.PCA(components, svd_solver="randomized", random_state=0).fit(train.reshape(len(train), -1))


def pca_error(pca, smoothing=0.0):
    """The squared error of a reconstruction from principal components, smoothed as the detector does it."""

    def error(x):
        rows = x.reshape(len(x), -1)
        difference = (pca.inverse_transform(pca.transform(rows)) - rows).reshape(x.shape)
        if smoothing:
            difference = ndimage.gaussian_filter(difference, (0, smoothing, smoothing, 0))
        return np.square(difference).reshape(len(x), -1).sum(axis=1)

    return error


def neighbour_distance(known, number):
    """The mean distance of an image's pixels from those of the nearest known images."""
    search = neighbors.NearestNeighbors(n_neighbors=number, algorithm="brute").fit(known.reshape(len(known), -1))
    return lambda x: search.kneighbors(x.reshape(len(x), -1))[0].mean(axis=1)


def pca_outlier(pca, known, number):
    """The local outlier factor of principal components, among those of known images."""
    factor = neighbors.LocalOutlierFactor(n_neighbors=number, novelty=True)
    factor.fit(pca.transform(known.reshape(len(known), -1)))
    return lambda x: -factor.score_samples(pca.transform(x.reshape(len(x), -1)))


def simple(train):
    """Functions of images that give the scores of simple methods; the length of the PNG counts either way."""
    forest = ensemble.IsolationForest(random_state=0).fit(train.reshape(len(train), -1))
    return {f"PCA {each}": pca_error(fit_pca(train, each)) for each in (16, 32, 64)} | {
        "isolation forest": lambda x: -forest.score_samples(x.reshape(len(x), -1)),
        "PNG length": _scores.compressed_nats,
    }


def compare(model, reference, normal, anomalous, scores, others):
    """AUROC of each method: a dict. `reference` are normal images that the model was not trained on."""
    found = {}
    for method, settings in scores.items():
        # The figure needs no threshold, and few examples set one for this rate.
        detector = applications.AnomalyDetector(model, false_positive_rate=0.2, **settings).fit(reference)
        found[method] = auroc(*(-detector.score_samples(each) for each in (normal, anomalous)))
    for name, function in others.items():
        found[name] = auroc(function(normal), function(anomalous))
    if "PNG length" in found:
        found["PNG length"] = max(found["PNG length"], 1.0 - found["PNG length"])
    return found


def detector_model(flags, name, images, epochs):
    def make():
        return models.vae("discretized_logistic", 32, 300, params=2, seed=flags.seed)

    return models.kept(flags, f"{name}_vae", make, models.plain(images, flags.seed), len(images), epochs)


def parts_of(flags, splits):
    """Training images, images held out of training, and those that the figures are taken on."""
    train = splits.train.images[: flags.train_images]
    evaluated = getattr(splits, flags.split)
    return train, splits.validation.images, evaluated


def whole(flags, data, report):
    """Fashion-MNIST against MNIST and the other way, and the false-positive rate on five fresh sets."""
    for normal, other in (("fashion_mnist", "mnist"), ("mnist", "fashion_mnist")):
        train, held_out, evaluated = parts_of(flags, data(normal))
        model = detector_model(flags, normal, train, 40)
        reference = models.as_floats(held_out[: flags.images])
        fresh = models.as_floats(evaluated.images[: flags.images])
        strange = models.as_floats(getattr(data(other), flags.split).images[: flags.images])
        if flags.split == "validation":
            reference, fresh = np.split(models.as_floats(held_out[: 2 * (len(held_out) // 2)]), 2)
        others = simple(models.as_floats(train))
        for method, value in compare(model, reference, fresh, strange, SCORES, others).items():
            report("anomaly", f"{normal} against {other}", method, "AUROC", value)
        detector = applications.AnomalyDetector(model, false_positive_rate=0.05).fit(models.as_floats(held_out))
        for number, part in enumerate(np.array_split(models.as_floats(evaluated.images), 5)):
            rate = float(np.mean(detector.predict(part) == -1))
            report("anomaly", f"{normal}, fresh set {number + 1}", "density_of_states", "false-positive rate", rate)


def by_class(flags, data, report, held_out):
    """One class normal and nine anomalous; or, with `held_out`, one anomalous and nine normal."""
    kind, part = ("one class held out", "held_out") if held_out else ("one class normal", "one_class")
    for name in flags.datasets:
        train, evaluated = data(name).train, getattr(data(name), flags.split).take(slice(flags.images))
        values = {}
        for label in range(10):

            def is_normal(images, label=label):
                return (images.labels != label) if held_out else (images.labels == label)

            # The detector compares with normal images that the model was not trained on.
            images = train.images[is_normal(train)]
            cut = min(flags.class_images, int(0.9 * len(images)))
            model = class_model(flags, f"{name}_{'without' if held_out else 'only'}_{label}", images[:cut], held_out)
            normal, strange = evaluated.images[is_normal(evaluated)], evaluated.images[~is_normal(evaluated)]
            trained, *arrays = map(models.as_floats, (images[:cut], images[cut:], normal, strange))
            pca = fit_pca(trained, 30)
            others = {
                "PCA 30": pca_error(pca),
                "PCA 30, smoothed": pca_error(pca, SMOOTHING),
                "PCA 30, local outlier": pca_outlier(pca, arrays[0], 20),
                "5 neighbours": neighbour_distance(arrays[0], 5),
            }
            for method, value in compare(model, *arrays, BY_CLASS[part], others).items():
                values.setdefault(method, []).append(value)
            print(kind, name, label, {method: round(each[-1], 4) for method, each in values.items()}, flush=True)
        for method, each in values.items():
            report(part, f"{name}, {kind}", method, "AUROC", float(np.mean(each)))


def class_model(flags, name, images, held_out):
    def make():
        if held_out:
            return models.vae(likelihoods.Gaussian(0.1), 32, 300, seed=flags.seed)
        return models.vae(likelihoods.Gaussian(0.25), 16, 200, seed=flags.seed)

    epochs, batch_size = (8, 128) if held_out else (24, 64)
    return models.kept(flags, name, make, models.plain(images, flags.seed), len(images), epochs, batch_size, 2e-3)


def one_class(flags, data, report):
    by_class(flags, data, report, held_out=False)


def held_out(flags, data, report):
    by_class(flags, data, report, held_out=True)
