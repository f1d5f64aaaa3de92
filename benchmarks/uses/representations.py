"""Sixteen numbers an image: linear probe, neighbours, few labels and clusters, beside PCA and raw pixels."""

import zoo
from zoo import applications, likelihoods, priors

import numpy as np
from sklearn import cluster, decomposition, linear_model, metrics, neighbors, pipeline, preprocessing
from uses import models

NUMBERS = 16
PRIORS = {
    "standard normal": lambda seed: None,
    "mixture": lambda seed: priors.MixtureOfGaussians(NUMBERS, 30, seed=seed),
}


def distorted(batch, rng):
    """(input, target): images shifted by up to two pixels, with noise and without a square, and images as they were."""
    noisy = np.empty_like(batch)
    for i, shift in enumerate(rng.integers(-2, 3, (len(batch), 2))):
        noisy[i] = np.roll(batch[i], shift, (0, 1))
        row, column = rng.integers(0, 28 - 8, 2)
        noisy[i, row : row + 8, column : column + 8] = 0
    noise = rng.normal(scale=0.2, size=batch.shape) * rng.uniform(size=(len(batch), 1, 1, 1))
    return np.clip(noisy + noise, 0, 1).astype(np.float32), batch


def model_of(flags, name, prior, pairs, images, epochs=10):
    def make():
        model = models.vae(likelihoods.Gaussian(0.15), NUMBERS, 400, seed=flags.seed)
        return zoo.BetaVAE(
            model.encoder, model.decoder, model.likelihood, beta=1.0, seed=flags.seed, prior=PRIORS[prior](flags.seed)
        )

    tag = f"{name}_16_{prior.replace(' ', '_')}{'_pairs' if pairs else ''}"
    batches = models.pairs(images, distorted, flags.seed) if pairs else models.plain(images, flags.seed)
    return models.kept(flags, tag, make, batches, len(images), epochs)


def figures(train, labels, test, test_labels, seed):
    """The figures of features: a dict."""
    probe = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression(max_iter=500))
    few = applications.few_label_accuracy(train, labels, test, test_labels, per_class=10, num_draws=5, seed=seed)
    found = cluster.KMeans(10, n_init=3, random_state=seed).fit_predict(test)
    return {
        "linear probe": probe.fit(train, labels).score(test, test_labels),
        "5 neighbours": neighbors.KNeighborsClassifier(5).fit(train, labels).score(test, test_labels),
        "100 labels, nearest": few["nearest"],
        "100 labels, linear": few["linear"],
        "adjusted Rand index": metrics.adjusted_rand_score(test_labels, found),
    }


def run(flags, data, report):
    name = "mnist"
    splits = data(name)
    images = splits.train.images
    few, evaluated = splits.train.take(slice(flags.simple_images)), getattr(splits, flags.split)
    train, test = models.as_floats(few.images), models.as_floats(evaluated.images)
    pca = decomposition.PCA(NUMBERS, random_state=0).fit(train.reshape(len(train), -1))
    features = {
        "PCA": lambda x: pca.transform(x.reshape(len(x), -1)),
        "pixels": lambda x: x.reshape(len(x), -1),
    }
    for prior in flags.priors:
        for pairs in (False, True):
            model = model_of(flags, name, prior, pairs, images)
            extractor = applications.FeatureExtractor(model).fit(train[:1])
            features[f"VAE, {prior} prior{', trained on pairs' if pairs else ''}"] = extractor.transform
    for method, function in features.items():
        if method == "pixels" and not flags.pixels:
            continue
        for figure, value in figures(function(train), few.labels, function(test), evaluated.labels, flags.seed).items():
            report("representation", name, method, figure, value)
