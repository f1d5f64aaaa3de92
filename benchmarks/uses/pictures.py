"""The pictures of docs/, from the models that the other parts keep."""

from zoo import applications

import numpy as np
from uses import anomalies, augmentations, denoisings, imputations, models, representations

COLUMNS = 12


def test_images(data, name, number=COLUMNS):
    return models.as_floats(data(name).test.images[:number])


def anomaly(flags, data):
    train, held_out, _ = anomalies.parts_of(flags, data("fashion_mnist"))
    model = anomalies.detector_model(flags, "fashion_mnist", train, 40)
    detector = applications.AnomalyDetector(model).fit(models.as_floats(held_out[:500]))
    x = np.concatenate([test_images(data, name, COLUMNS // 2) for name in ("fashion_mnist", "mnist")])
    maps = detector.heat_map(x)[..., None]
    return [x, maps / maps.max()]


def imputation(flags, data):
    x = test_images(data, "mnist")
    model = imputations.masked_model(flags, "mnist", data("mnist").train.images)
    mask = np.concatenate([imputations.mask_of(kind, 2, np.random.default_rng(0)) for kind in imputations.KINDS])
    settings = {"method": "gibbs", "steps": 1}
    draws = applications.impute(model, x, mask, num_draws=3, noise=False, **settings)
    return [np.where(mask > 0, x, 0.5), applications.impute(model, x, mask, **settings), *draws, x]


def vaeac(flags, data):
    rows = []
    for name in flags.datasets:
        x = test_images(data, name)
        model = imputations.vaeac(flags, name)
        mask = np.concatenate([imputations.mask_of(kind, 2, np.random.default_rng(0)) for kind in imputations.KINDS])
        draws = applications.impute(model, x, mask, num_draws=3, noise=False)
        rows += [np.where(mask > 0, x, 0.5), applications.impute(model, x, mask), *draws, x]
    return rows


def denoising(flags, data):
    x = test_images(data, "mnist")
    model = denoisings.pair_model(flags, "mnist", data("mnist").train.images)
    parts = np.array_split(x, len(denoisings.LEVELS))
    noisy = np.concatenate(
        [applications.add_noise(part, kind, denoisings.LEVELS[kind][1]) for part, kind in zip(parts, denoisings.LEVELS)]
    )
    return [noisy, applications.denoise(model, noisy), x]


def representation(flags, data):
    train = data("mnist").train
    model = representations.model_of(flags, "mixture_pairs", train.images)
    found = applications.cluster(model, models.as_floats(train.images[:5000]), 10, seed=flags.seed)
    return [np.asarray(model.decode_embedding(found["centers"]))]


def augmentation(flags, data):
    x, labels = augmentations.few(data("mnist").train, 10, 0)
    model = augmentations.cvae_of(flags, x, labels, 10, 0)
    one = slice(None, None, 10)  # of each class
    samples, _ = applications.sample_labelled(model, 1, seed=0)
    jittered, _ = applications.jitter(model, x, labels, seed=0)
    return [x[one], samples, jittered[one], augmentations.moved(x[one], np.random.default_rng(0))]


def draw(flags, data, folder):
    """Writes each picture as `folder`/NAME.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in (anomaly, imputation, vaeac, denoising, representation, augmentation):
        if picture.__name__ in flags.only:
            rows = np.stack(picture(flags, data))
            applications.save_image(folder / f"{picture.__name__}.png", applications.grid(rows), 2)
