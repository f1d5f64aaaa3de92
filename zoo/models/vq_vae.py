"""The VQ-VAE."""

import math
from typing import Any

import keras
from keras import ops

from zoo import likelihoods, quantizers
from zoo.fitting import inputs
from zoo.fitting.batched import batched
from zoo.models._code_sampling import CodeSamplingVAE
from zoo.models._prior import PriorSlot
from zoo.models._protocol import Proposal
from zoo.priors import CodePrior
from zoo.quantizers import metrics
from zoo.quantizers._base import require
from zoo.runtime import checks
from zoo.runtime.settings import Setting
from zoo.runtime.types import Array, ArrayLike, Batches, Config, Labels, Tensor, Tensors


@keras.saving.register_keras_serializable("zoo")
class VQVAE(CodeSamplingVAE):
    """The vector-quantised VAE, whose latents are integer codes on a grid.

        loss = −log p(x|z_q) + ‖sg[z_e] − e‖² + β ‖z_e − sg[e]‖²

    (van den Oord et al. 2017, eq. (3)), each norm summed over the grid. With an EMA codebook the second term has no
    gradient and is left out of the loss (ibid., appendix A.1).

    Sampling and log-probabilities need a prior over the codes. After the model's own training, fit one to the codes of
    the training images, and set `model.prior`. The prior is saved with the model. Only its own `fit` trains it: if you
    then train the VQ-VAE further, the prior no longer fits the codes.

    `encode`, `decode` and `reconstruct` also take images of other sizes than the networks were built for, if both
    networks consist of convolutions (`zoo.networks.any_size`) and their strides divide the size. `fit`, embeddings,
    priors and exports keep to one size.

    Args:
        encoder: layer from images `[B,H,W,C]` to `[B,h,w,code_dim]`.
        decoder: layer from `[B,h,w,code_dim]` to `[B,H,W,likelihood.params_size(C)]`.
        quantizer: a `zoo.quantizers.VectorQuantizer`, `ResidualQuantizer` or `FiniteScalarQuantizer` (for which the
            last two terms are 0); None for a `VectorQuantizer` of 512 codes of 64 numbers.
        likelihood: a `zoo.likelihoods.Likelihood` or its name.
        commitment_cost: float >= 0, β.
        prior: a `zoo.priors.CodePrior` over the codes, or None; `model.prior = prior` attaches one later.

    Call arguments:
        x: float `[B,H,W,C]` in [0, 1].

    Returns:
        reconstructions, float32 `[B,H,W,C]` in [0, 1].

    Reports:
        `reconstruction` in nats per example; `codebook` and `commitment`, the norms above, without β; `perplexity`,
        from 1 to K; `codebook_usage`, the share of codes in use. The last two count all examples since the epoch began.

    Raises:
        ValueError: for arguments out of range, or a prior over other codes or another grid.

    Example:
        >>> encoder = zoo.networks.residual_encoder((32, 32, 3), code_dim=64)
        >>> decoder = zoo.networks.residual_decoder((8, 8, 64), params=3)
        >>> model = zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(512, 64))
        >>> model.encode(images).shape
        TensorShape([32, 8, 8])

        >>> prior = zoo.priors.Transformer(num_codes=512, grid_shape=(8, 8))
        >>> prior.compile("adam")
        >>> prior.fit(model.encode(images), epochs=20)
        >>> model.prior = prior
        >>> model.sample(16, seed=0).shape
        TensorShape([16, 32, 32, 3])
    """

    term_names = ("loss", "reconstruction", "codebook", "commitment")
    quantizer = Setting(lambda _, value: require(value))
    commitment_cost = Setting(checks.number, 0.0)

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        quantizer: quantizers.Quantizer | None = None,
        likelihood: str | likelihoods.Likelihood = "gaussian",
        commitment_cost: float = 0.25,
        prior: CodePrior | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, likelihoods.get(likelihood), **kwargs)
        self.quantizer = quantizers.VectorQuantizer() if quantizer is None else quantizer
        self.commitment_cost = commitment_cost
        self._count_codes()
        self.prior_slot = PriorSlot()
        self.prior = prior

    def _count_codes(self):
        self.trackers["perplexity"] = metrics.Perplexity(self.num_codes, name="perplexity")
        self.trackers["codebook_usage"] = metrics.CodebookUsage(self.num_codes, name="codebook_usage")

    def check_settings(self) -> None:
        if self.prior is not None:
            self.check_prior(self.prior)

    def exchanged(self, name: str) -> None:
        super().exchanged(name)
        if name == "quantizer":
            self._count_codes()

    # The objective.

    def compute_terms(
        self, x: Tensor, labels: Tensor | None = None, training: bool = False, target: Tensor | None = None
    ) -> Tensors:
        quantized = self.quantized(self.features(x, training=training), training)
        reconstruction = -self.log_likelihood(x if target is None else target, quantized["z_q"], training=training)
        for name in ("codebook", "commitment"):
            checks.per_example(f"{name!r} of the quantizer", quantized[name], x.shape[0])
        return {
            "loss": reconstruction + self._penalty(quantized),
            "reconstruction": reconstruction,
            "codebook": quantized["codebook"],
            "commitment": quantized["commitment"],
            "codes": quantized["codes"],
        }

    def quantized(self, z_e: Tensor, training: bool = False) -> Tensors:
        """What the quantizer gives for the encoder's output, as `zoo.quantizers.Quantizer.call` says.

        Raises:
            ValueError: for a quantizer of the user's own that gives something else.
        """
        found = self.quantizer(z_e, training=training)
        wanted = ("z_q", "codes", "codebook", "commitment")
        if not isinstance(found, dict) or not {*wanted} <= {*found}:
            received = [*found] if isinstance(found, dict) else type(found).__name__
            checks.fail("quantizer", f"one that gives a dict of {', '.join(wanted)}", received)
        if "int" not in keras.backend.standardize_dtype(found["codes"].dtype):
            checks.fail("quantizer", "one that gives integer codes", found["codes"].dtype)
        return found

    def bottleneck(self, x: Tensor, labels: Tensor | None = None, training: bool = False) -> tuple[Tensor, Tensor]:
        quantized = self.quantized(self.features(x, training=training), training)
        return quantized["z_q"], self._penalty(quantized)

    def _penalty(self, quantized):
        """The terms of the loss beside the reconstruction."""
        penalty = self.commitment_cost * quantized["commitment"]
        return penalty + quantized["codebook"] if self.quantizer.codebook == "gradient" else penalty

    def update_trackers(self, terms: Tensors, weights: Tensor | None = None) -> None:
        super().update_trackers(terms, weights)
        self.trackers["perplexity"].update_state(terms["codes"], weights)
        self.trackers["codebook_usage"].update_state(terms["codes"], weights)

    def features(self, x: Tensor, training: bool = False) -> Tensor:
        """The encoder's output before quantisation, float32 `[B,h,w,code_dim]`."""
        return ops.cast(self.run_encoder(x, training=training), "float32")

    @batched
    def encode(self, x: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """The codes of images: float `[B,H,W,C]` to int32 `[B,h,w]`."""
        x, _ = self._inputs(x, labels)
        return self.quantized(self.features(x))["codes"]

    @batched
    def decode(self, codes: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """The mean images of codes: int32 `[B,h,w]` to float32 `[B,H,W,C]` in [0, 1].

        Raises:
            ValueError: if `codes` are not integers.
        """
        return self.likelihood.mean(self.decoded(codes, labels))

    def decoded(self, z: Tensor, labels: Labels = None) -> Tensor:
        """The parameters of p(x|codes)."""
        self._check_labels(labels, None)
        codes = ops.convert_to_tensor(self._check_data("codes", z))
        return self.likelihood_params(self.quantizer.lookup(codes))

    @batched
    def reconstruct(self, x: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """Reconstructs images from their codes: float32 `[B,H,W,C]` in [0, 1]; deterministic."""
        return self.decode(self.encode(x, labels))

    @batched
    def embed(self, x: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """The encoder's output before quantisation, flattened: float32 `[B, h·w·code_dim]`."""
        x, _ = self._inputs(x, labels)
        self._require_own_size(x)
        z_e = self.features(x)
        return ops.reshape(z_e, (-1, math.prod(z_e.shape[1:])))

    @batched
    def decode_embedding(self, e: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """Quantises and decodes embeddings: float `[B, h·w·code_dim]` to float32 `[B,H,W,C]` in [0, 1]."""
        self._check_labels(labels, None)
        z_e = ops.reshape(ops.cast(e, "float32"), (-1, *self.features_shape))
        return self.likelihood.mean(self.likelihood_params(self.quantized(z_e)["z_q"]))

    @property
    def embedding_dim(self) -> int:
        return math.prod(self.features_shape)

    @property
    def features_shape(self) -> tuple[int, ...]:
        """(h, w, code_dim), the shape of the encoder's output."""
        shape = getattr(self.encoder, "output_shape", None)
        if shape is None:
            x = keras.KerasTensor((None, *self.image_shape), "float32")
            shape = self.encoder.compute_output_spec(x).shape
        return tuple(shape[1:])

    def propose(self, x: Tensor, seeds: Tensor, labels: Tensor | None = None) -> Proposal:
        """As in `BaseVAE`, for a posterior that is certain of its codes: `seeds` have no effect.

        Without a prior, and with a conditional one, all grids of codes count as equally likely.
        """
        x, _ = self._inputs(x, labels)
        quantized = self.quantizer(self.features(x))
        codes, prior = quantized["codes"], self.prior
        if prior is None or prior.conditional:
            places = math.prod(codes.shape[1:])
            log_prior = ops.full((ops.shape(x)[0],), -places * math.log(self.num_codes), "float32")
        else:
            log_prior = prior.log_prob(codes)
        return Proposal(self.likelihood_params(quantized["z_q"]), log_prior, -log_prior)

    # Inputs.

    def values_of(self, name: str, value: Array | None) -> list[inputs.Values]:
        if name == "codes":
            return [inputs.Values("codes", value, 0, self.num_codes - 1)]
        return super().values_of(name, value)

    def _check_data(self, name, x):
        if name != "codes":
            return super()._check_data(name, x)
        codes = inputs.array("codes", x)
        inputs.require_integers("codes", codes)
        return codes

    def flat_posterior(self, x: Tensor, labels: Tensor | None = None) -> Tensors:
        return {"codes": self.encode(x, labels)}

    def get_config(self) -> Config:
        objects = {"quantizer": self.quantizer, "prior": self.prior}
        serialized = {name: keras.saving.serialize_keras_object(value) for name, value in objects.items()}
        return {**super().get_config(), **serialized, "commitment_cost": self.commitment_cost}
