"""Denoising: one VAE for all noises beside the median filter, wavelets and non-local means."""

from zoo import applications, likelihoods

import numpy as np
from uses import anomalies, models

LEVELS = {"gaussian": (0.1, 0.25, 0.5), "salt_and_pepper": (0.1, 0.25, 0.5), "blur": (1.0, 1.5, 2.0)}


def noisy_pairs(batch, rng):
    """(input, target): each quarter of a batch with another noise, at a level drawn between the first and the last."""
    parts = []
    for kind, part in zip((*LEVELS, "gaussian"), np.array_split(batch, 4)):
        low, high = LEVELS[kind][0], LEVELS[kind][-1]
        level = rng.uniform(0.5 * low, 1.1 * high)
        parts.append(_noise(part, kind, level, rng))
    return np.concatenate(parts).astype(np.float32), batch


def _noise(x, kind, level, rng):
    if kind == "blur":
        return applications.add_noise(x, "blur", level)
    if kind == "gaussian":
        return np.clip(x + level * rng.normal(size=x.shape), 0, 1)
    hit = rng.uniform(size=(*x.shape[:-1], 1))
    return np.where(hit < level, (hit < level / 2).astype(np.float32), x)


def psnr(x, clean):
    return float(-10 * np.log10(np.mean(np.square(np.clip(x, 0, 1) - clean))))


def _smooth(squares, deviation):
    from scipy import ndimage

    return ndimage.gaussian_filter(squares, (0, deviation, deviation))[..., None]


def simple(noisy):
    """Functions without arguments that give denoised images, by name; those of scikit-image if it is installed."""
    from scipy import ndimage

    squares = noisy[..., 0]
    found = {"as it is": lambda: noisy}
    for size in (3, 5):
        found[f"median {size}"] = lambda n=size: ndimage.median_filter(squares, (1, n, n))[..., None]
    for deviation in (0.7, 1.0):
        found[f"Gaussian filter {deviation}"] = lambda d=deviation: ndimage.gaussian_filter(squares, (0, d, d))[
            ..., None
        ]
    try:
        from skimage import restoration
    except ImportError:
        return found

    def each(function):
        return lambda: np.stack([function(image) for image in squares])[..., None]

    for deviation in (0.05, 0.1, 0.25, 0.5):
        found[f"wavelets, sigma {deviation}"] = each(
            lambda image, s=deviation: restoration.denoise_wavelet(image, sigma=s, mode="soft", method="BayesShrink")
        )
        found[f"non-local means, sigma {deviation}"] = each(
            lambda image, s=deviation: restoration.denoise_nl_means(
                image, patch_size=5, patch_distance=9, h=0.8 * s, sigma=s, fast_mode=True
            )
        )
    return found


def pair_model(flags, name, images):
    def make():
        return models.vae(likelihoods.Gaussian(0.1), 64, 300, seed=flags.seed)

    batches = models.pairs(images, noisy_pairs, flags.seed)
    return models.kept(flags, f"{name}_denoising", make, batches, len(images), 5, rate=2e-3)


def run(flags, data, report):
    for name in flags.datasets:
        splits = data(name)
        pair = pair_model(flags, name, splits.train.images)
        plain = anomalies.detector_model(flags, name, splits.train.images[: flags.train_images], 40)
        clean = models.as_floats(getattr(splits, flags.split).images[: flags.denoise_images])
        for kind, levels in LEVELS.items():
            for level in levels:
                noisy = applications.add_noise(clean, kind, level, seed=7)
                what = f"{name}, {kind} {level}"
                found = {method: psnr(function(), clean) for method, function in simple(noisy).items()}
                found["VAE trained on pairs"] = psnr(applications.denoise(pair, noisy), clean)
                found["plain VAE"] = psnr(applications.denoise(plain, noisy), clean)
                if kind == "gaussian":
                    found["plain VAE, latents fitted"] = psnr(applications.denoise(plain, noisy, level), clean)
                for method, value in found.items():
                    report("denoising", what, method, "PSNR", value)
