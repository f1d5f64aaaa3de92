"""The use of a VQ-VAE's codes over a dataset, and their cost under the prior."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from zoo.evaluation.rows import Examples
from zoo.fitting.batched import kept_graph


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CodeTerms:
    """The codes of a dataset.

    Attributes:
        num_codes: int, K.
        codes_per_example: int, T.
        counts: int `[K]`, how often each code occurs.
        surprise: float `[N]`, nats per code: the mean of −log(share of the code) over an example's codes, with the
            shares of all examples together. Its mean is the entropy of the codes.
        distortion: float `[N]`, −log p(x|codes), nats.
        cross_entropy: float `[N]`, nats per code: −log p(codes)/T under the prior; None without one.
    """

    num_codes: int
    codes_per_example: int
    counts: np.ndarray
    surprise: np.ndarray
    distortion: np.ndarray
    cross_entropy: np.ndarray | None

    @property
    def usage(self) -> float:
        """The share of the codes that occur at all."""
        return float((self.counts > 0).mean())

    @property
    def expected_usage(self) -> float:
        """The usage of as many codes, drawn uniformly from all K: below 1 for few examples."""
        return float(1.0 - (1.0 - 1.0 / self.num_codes) ** int(self.counts.sum()))

    @property
    def perplexity(self) -> float:
        """e^entropy: 1 for a single code, K for codes that are equally frequent."""
        return float(np.exp(self.surprise.mean()))

    @property
    def rate(self) -> np.ndarray | None:
        """−log p(codes) of each example, `[N]`, nats; None without a prior."""
        return None if self.cross_entropy is None else self.cross_entropy * self.codes_per_example


def code_terms(model: keras.Model, examples: Examples) -> CodeTerms:
    """Measures the codes of a `zoo.VQVAE`.

    Args:
        model: the model, with or without a prior.
        examples: `Examples`, with labels for a conditional prior.
    """

    def distortion_of(x, codes):
        return -model.log_likelihood(x, model.quantizer.lookup(codes))

    distortion_of = kept_graph(model, "zoo.evaluation.distortion", distortion_of)
    codes, distortion, log_prior = [], [], []
    for _, x, labels, _ in examples.batches():
        codes.append(model.encode(x).numpy())
        distortion.append(distortion_of(tf.constant(x), tf.constant(codes[-1])).numpy())
        if model.prior is not None:
            log_prior.append(model.prior.log_prob(codes[-1], labels).numpy())
    rows = np.concatenate(codes).reshape(len(examples), -1)
    counts = np.bincount(rows.ravel(), minlength=model.num_codes)
    shares = np.maximum(counts, 1) / rows.size  # a code that does not occur is not looked up
    return CodeTerms(
        num_codes=model.num_codes,
        codes_per_example=rows.shape[1],
        counts=counts,
        surprise=-np.log(shares)[rows].mean(axis=1),
        distortion=np.concatenate(distortion).astype(np.float64),
        cross_entropy=-np.concatenate(log_prior).astype(np.float64) / rows.shape[1] if log_prior else None,
    )
