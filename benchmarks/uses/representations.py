"""Sixteen numbers an image: linear probe, neighbours, few labels and clusters, beside PCA and raw pixels."""

import zoo
from zoo import applications, likelihoods, networks, priors

import numpy as np
from sklearn import cluster, decomposition, linear_model, metrics, neighbors, pipeline, preprocessing
from uses import models

NUMBERS = 16
# By name: whether the prior is a mixture of Gaussians, and whether the model is trained on pairs.
VARIANTS = {
    "plain": (False, False),
    "pairs": (False, True),
    "mixture": (True, False),
    "mixture_pairs": (True, True),
}


def distorted(batch, rng):
    """(input, target): images rotated, scaled, sheared and shifted a little, with noise, and images as they were."""
    number = len(batch)
    angles, shears = rng.uniform(-15, 15, number), rng.uniform(-0.25, 0.25, number)
    scales, shifts = rng.uniform(0.85, 1.15, (number, 2)), rng.uniform(-2.5, 2.5, (number, 2))
    sheared = np.tile(np.eye(2), (number, 1, 1))
    sheared[:, 0, 1] = shears
    changed = models.warped(batch, models.rotations(angles) @ sheared * scales[:, None], shifts)
    noise = rng.normal(scale=0.2, size=batch.shape) * rng.uniform(size=(number, 1, 1, 1))
    return np.clip(changed + noise, 0, 1).astype(np.float32), batch


def model_of(flags, variant, images, epochs=16):
    mixture, paired = VARIANTS[variant]

    def make():
        encoder = networks.conv_encoder(models.SHAPE, NUMBERS, filters=(32, 64), dense=256)
        decoder = networks.mlp_decoder(models.SHAPE, NUMBERS, (400, 400), "gated")
        prior = priors.MixtureOfGaussians(NUMBERS, 30, seed=flags.seed) if mixture else None
        return zoo.VAE(encoder, decoder, likelihoods.Gaussian(0.2), seed=flags.seed, prior=prior)

    batches = models.pairs(images, distorted, flags.seed) if paired else models.plain(images, flags.seed)
    return models.kept(flags, f"mnist_16_{variant}", make, batches, len(images), epochs, rate=2e-3)


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
    splits = data("mnist")
    images = splits.train.images
    few, evaluated = splits.train.take(slice(flags.simple_images)), getattr(splits, flags.split)
    train, test = models.as_floats(few.images), models.as_floats(evaluated.images)
    pca = decomposition.PCA(NUMBERS, random_state=0).fit(train.reshape(len(train), -1))
    features = {
        "PCA": lambda x: pca.transform(x.reshape(len(x), -1)),
        "pixels": lambda x: x.reshape(len(x), -1),
    }
    for variant in flags.variants:
        extractor = applications.FeatureExtractor(model_of(flags, variant, images)).fit(train[:1])
        features[f"VAE, {variant}"] = extractor.transform
    for method, function in features.items():
        if method == "pixels" and not flags.pixels:
            continue
        for figure, value in figures(function(train), few.labels, function(test), evaluated.labels, flags.seed).items():
            report("representation", "mnist", method, figure, value)
