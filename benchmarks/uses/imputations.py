"""Imputation: a VAEAC, and a VAE that sees the mask, beside neighbours, the conditional Gaussian and PCA."""

import dataclasses
import importlib.util
import pathlib

from zoo import applications, likelihoods
from zoo.training import run

import keras
import numpy as np
from sklearn import decomposition, neighbors
from uses import models

SIDE = 28
RECIPE = pathlib.Path(__file__).parents[2] / "recipes" / "mnist_vaeac.py"


def mask_of(kind, number, rng):
    """Masks of one kind, 1 for observed: float32 `[number,28,28,1]`."""
    masks = np.ones((number, SIDE, SIDE, 1), np.float32)
    half = SIDE // 2
    if kind == "random half":
        return (rng.uniform(size=masks.shape) < 0.5).astype(np.float32)
    if kind == "12x12 block":
        for mask in masks:
            row, column = rng.integers(0, SIDE - 12 + 1, 2)
            mask[row : row + 12, column : column + 12] = 0
        return masks
    rows = {"top half": slice(0, half), "bottom half": slice(half, None)}.get(kind, slice(None))
    columns = {"left half": slice(0, half), "right half": slice(half, None)}.get(kind, slice(None))
    masks[:, rows, columns] = 0
    return masks


KINDS = ("top half", "bottom half", "left half", "right half", "random half", "12x12 block")


def mixed_masks(number, rng):
    """Masks for training: each kind with equal chance."""
    masks = np.stack([mask_of(kind, number, rng) for kind in KINDS])
    return masks[rng.integers(0, len(KINDS), number), np.arange(number)]


def hidden(batch, rng, pool):
    """(input, target): images beside a random mask, and beside a mask of ones."""
    masks = pool[rng.integers(0, len(pool), len(batch))]
    ones = np.ones_like(batch)
    return np.concatenate([batch * masks, masks], axis=-1), np.concatenate([batch, ones], axis=-1)


def masked_model(flags, name, images):
    pool = mixed_masks(20000, np.random.default_rng(flags.seed))

    def make():
        likelihood = likelihoods.Masked(likelihoods.Gaussian(0.1))
        return models.vae(likelihood, 64, 300, channels=2, seed=flags.seed)

    batches = models.pairs(images, lambda batch, rng: hidden(batch, rng, pool), flags.seed)

    def first():
        return models.kept(flags, f"{name}_masked", make, batches, len(images), 7, rate=2e-3)

    if not flags.further:
        return first()
    return models.kept(flags, f"{name}_masked_further", first, batches, len(images), 8)


def vaeac(flags, name):
    """The model of the recipe, trained by it on a dataset; an interrupted training resumes."""
    folder = flags.models / f"{name}_vaeac"
    if not (folder / "model.keras").exists():
        spec = importlib.util.spec_from_file_location(RECIPE.stem, RECIPE)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        recipe = dataclasses.replace(module.main.recipe, name=folder.name, dataset=name)
        data = ["--sample"] if flags.sample else ["--data-dir", flags.data_dir] if flags.data_dir else []
        regime = ["--epochs", str(max(1, round(recipe.epochs * flags.epochs))), "--seed", str(flags.seed)]
        run.main(recipe, [*data, *regime, "--output", str(folder), "--no-export"])
    return keras.models.load_model(folder / "model.keras", compile=False)


class Simple:
    """The simple methods, on rows: functions of (x, mask) that give complete rows."""

    def __init__(self, train):
        self.train = train.reshape(len(train), -1).astype(np.float32)
        self.mean = self.train.mean(axis=0)
        self.covariance = np.cov(self.train, rowvar=False) + 1e-3 * np.eye(len(self.mean))
        self.pca = decomposition.PCA(60, svd_solver="randomized", random_state=0).fit(self.train)

    def methods(self):
        return {
            "mean image": lambda x, mask: np.broadcast_to(self.mean, x.shape),
            "nearest neighbour": lambda x, mask: self.neighbours(x, mask, 1),
            "mean of 10 neighbours": lambda x, mask: self.neighbours(x, mask, 10),
            "conditional Gaussian": self.gaussian,
            "PCA, 60 components, 30 rounds": self.by_pca,
        }

    def neighbours(self, x, mask, number):
        """The mean of the training rows that are nearest on the observed values."""
        if np.all(mask == mask[0]):
            seen = mask[0] > 0
            index = neighbors.NearestNeighbors(n_neighbors=number, algorithm="brute").fit(self.train[:, seen])
            return self.train[index.kneighbors(x[:, seen], return_distance=False)].mean(axis=1)
        squares, rows = self.train**2, []
        for i in range(0, len(x), 100):
            part, seen = x[i : i + 100] * mask[i : i + 100], mask[i : i + 100]
            distances = seen @ squares.T - 2.0 * part @ self.train.T
            rows.append(np.argpartition(distances, number, axis=1)[:, :number])
        return self.train[np.concatenate(rows)].mean(axis=1)

    def gaussian(self, x, mask):
        """The conditional mean of a Gaussian with the mean and covariance of the training rows."""
        filled = np.array(x, np.float64)
        groups, index = np.unique(mask > 0, axis=0, return_inverse=True)
        for number, seen in enumerate(groups):
            rows = np.flatnonzero(index.ravel() == number)
            weights = np.linalg.solve(self.covariance[np.ix_(seen, seen)], self.covariance[np.ix_(seen, ~seen)])
            filled[np.ix_(rows, ~seen)] = self.mean[~seen] + (x[np.ix_(rows, seen)] - self.mean[seen]) @ weights
        return np.clip(filled, 0, 1)

    def by_pca(self, x, mask):
        """Fills in, projects on the components, and fills in again."""
        filled = np.where(mask > 0, x, self.mean)
        for _ in range(30):
            filled = np.where(mask > 0, x, self.pca.inverse_transform(self.pca.transform(filled)))
        return np.clip(filled, 0, 1)


def error(x, filled, mask):
    """The mean squared error on the missing values."""
    return float(np.sum(np.square(filled - x) * (1 - mask)) / np.sum(1 - mask))


def coverage(x, low, high, mask):
    """The share of the missing values that lie in their intervals."""
    return float(np.sum((low <= x) * (x <= high) * (1 - mask)) / np.sum(1 - mask))


def width(low, high, mask):
    """The mean length of the intervals of the missing values."""
    return float(np.sum((high - low) * (1 - mask)) / np.sum(1 - mask))


def whole(flags, data, report):
    for name in flags.datasets:
        splits = data(name)
        model = masked_model(flags, name, splits.train.images)
        simple = Simple(models.as_floats(splits.train.images[: flags.simple_images]))
        complete = models.as_floats(splits.validation.images[-100:])  # the first may be those that are judged
        x = models.as_floats(getattr(splits, flags.split).images[: flags.impute_images])
        for kind in KINDS:
            task, mask = f"{name}, {kind}", mask_of(kind, len(x), np.random.default_rng(7))
            rows, rows_mask = x.reshape(len(x), -1), mask.reshape(len(x), -1)
            errors = {key: error(rows, fill(rows, rows_mask), rows_mask) for key, fill in simple.methods().items()}
            best = min(errors.values())
            filled = applications.impute(model, x, mask, method="gibbs", steps=1, num_samples=32)
            errors["VAE, mean of samples"] = error(x, filled, mask)
            errors["VAE, importance"] = error(x, applications.impute(model, x, mask, steps=0), mask)
            settings = {"method": "gibbs", "steps": 1}
            few = models.as_floats(splits.train.images[: flags.residual_images])
            filled = applications.impute_with_residuals(model, x, mask, few, num_samples=8, **settings)
            errors["VAE and residuals"] = error(x, filled, mask)
            for method, value in errors.items():
                report("imputation", task, method, "MSE", value)
            for method in ("VAE, mean of samples", "VAE and residuals"):
                report("imputation", task, method, "ratio", errors[method] / best)
            its_mask = mask[: len(complete)]
            part = x[: len(its_mask)]
            draws = applications.impute(model, part, its_mask, num_draws=39, **settings)
            raw = coverage(part, *np.quantile(draws, [0.05, 0.95], axis=0), its_mask)
            report("imputation", task, "VAE, quantiles of draws", "coverage of 90 %", raw)
            ends = applications.impute_interval(model, part, its_mask, complete, **settings)
            report("imputation", task, "VAE, impute_interval", "coverage of 90 %", coverage(part, *ends, its_mask))


def ratio(errors, others):
    """The ratio of two sums over images, and its standard error: the images are the same."""
    value = errors.sum() / others.sum()
    return float(value), float(np.std(errors - value * others) / np.sqrt(len(errors)) / others.mean())


def conditioned(flags, data, report):
    """A VAEAC beside the simple methods, with standard errors over images."""
    for name in flags.datasets:
        splits = data(name)
        model = vaeac(flags, name)
        simple = Simple(models.as_floats(splits.train.images[: flags.simple_images]))
        complete = models.as_floats(splits.validation.images[-flags.interval_images :])
        x = models.as_floats(getattr(splits, flags.split).images[: flags.vaeac_images])
        for kind in KINDS:
            task, mask = f"{name}, {kind}", mask_of(kind, len(x), np.random.default_rng(7))
            rows, rows_mask = x.reshape(len(x), -1), mask.reshape(len(x), -1)
            found = {key: fill(rows, rows_mask) for key, fill in simple.methods().items()}
            found |= {
                "VAEAC, mean of 32 draws": applications.impute(model, x, mask),
                "VAEAC, one draw": applications.impute(model, x, mask, num_draws=1, noise=False)[0],
            }
            squared = {
                key: np.sum(np.square(filled.reshape(rows.shape) - rows) * (1 - rows_mask), axis=1)
                for key, filled in found.items()
            }
            missing = np.sum(1 - rows_mask, axis=1)
            for key, each in squared.items():
                value, deviation = ratio(each, missing)
                report("vaeac", task, key, "MSE", value)
                report("vaeac", task, key, "standard error", deviation)
            best = min((key for key in squared if "VAEAC" not in key), key=lambda key: squared[key].sum())
            value, deviation = ratio(squared["VAEAC, mean of 32 draws"], squared[best])
            report("vaeac", task, "VAEAC, mean of 32 draws", f"ratio to {best}", value)
            report("vaeac", task, "VAEAC, mean of 32 draws", "standard error of the ratio", deviation)
            part, its_mask = x[: flags.interval_images], mask[: flags.interval_images]
            ends = applications.impute_interval(model, part, its_mask, complete, noise=flags.noise)
            report("vaeac", task, "VAEAC, impute_interval", "coverage of 90 %", coverage(part, *ends, its_mask))
            report("vaeac", task, "VAEAC, impute_interval", "width", width(*ends, its_mask))
