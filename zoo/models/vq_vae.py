"""The VQ-VAE."""

import keras
from keras import ops

from zoo import checks, layers, metrics
from zoo.layers import likelihoods
from zoo.models.base import Base


@keras.saving.register_keras_serializable("zoo")
class VQVAE(Base):
    """The vector-quantised VAE: its latents are integer codes on a grid.

        loss = −log p(x|z_q) + ‖sg[z_e] − e‖² + β ‖z_e − sg[e]‖²

    (van den Oord et al. 2017, eq. (3)), each norm summed over the grid. Under an EMA codebook the second term has no
    gradient and is left out of the loss (ibid., appendix A.1). An `elbo` needs a prior over codes, so that there is
    none here.

    Args:
        encoder: layer from images `[B,H,W,C]` to `[B,h,w,code_dim]`.
        decoder: layer from `[B,h,w,code_dim]` to `[B,H,W,likelihood.params_size(C)]`.
        quantizer: a `zoo.layers.VectorQuantizer`; None gives one of 512 codes of 64 numbers.
        likelihood: a `zoo.layers.Likelihood` or its name.
        commitment_cost: float >= 0, β.

    Call arguments:
        x: float `[B,H,W,C]` in [0, 1].

    Returns:
        reconstructions, float32 `[B,H,W,C]` in [0, 1].

    Reports:
        `reconstruction` in nats per example; `codebook` and `commitment`, the norms above, without β; `perplexity`,
        from 1 to K; `codebook_usage`, the share of codes in use. The last two are over all examples since the epoch
        began.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> encoder = zoo.networks.residual_encoder((32, 32, 3), code_dim=64)
        >>> decoder = zoo.networks.residual_decoder((8, 8, 64), params=3)
        >>> model = zoo.VQVAE(encoder, decoder, zoo.layers.VectorQuantizer(512, 64))
        >>> model.encode(images).shape
        TensorShape([32, 8, 8])
    """

    term_names = ("loss", "reconstruction", "codebook", "commitment")
    can_sample = False

    def __init__(self, encoder, decoder, quantizer=None, likelihood="gaussian", commitment_cost=0.25, **kwargs):
        super().__init__(encoder, decoder, likelihoods.get(likelihood), **kwargs)
        self.quantizer = layers.VectorQuantizer() if quantizer is None else quantizer
        if not isinstance(self.quantizer, keras.layers.Layer):
            checks.fail("quantizer", "a zoo.layers.VectorQuantizer", quantizer)
        self.commitment_cost = checks.number("commitment_cost", commitment_cost, 0.0)
        self.trackers["perplexity"] = metrics.Perplexity(self.quantizer.num_codes, name="perplexity")
        self.trackers["codebook_usage"] = metrics.CodebookUsage(self.quantizer.num_codes, name="codebook_usage")

    def compute_terms(self, x, labels=None, training=False):
        quantized = self.quantizer(self.features(x, training=training), training=training)
        params = self.likelihood_params(quantized["z_q"], training=training)
        reconstruction = -self.likelihood.log_prob(x, params, training=training)
        loss = reconstruction + self.commitment_cost * quantized["commitment"]
        if self.quantizer.codebook == "gradient":
            loss = loss + quantized["codebook"]
        return {
            "loss": loss,
            "reconstruction": reconstruction,
            "codebook": quantized["codebook"],
            "commitment": quantized["commitment"],
            "codes": quantized["codes"],
        }

    def update_trackers(self, terms):
        super().update_trackers(terms)
        self.trackers["perplexity"].update_state(terms["codes"])
        self.trackers["codebook_usage"].update_state(terms["codes"])

    def features(self, x, training=False):
        """The encoder's output before quantisation, float32 `[B,h,w,code_dim]`."""
        return ops.cast(self.encoder(x, training=training), "float32")

    def likelihood_params(self, z_q, training=False):
        """The decoder's output, float32 `[B,H,W,params_size]`."""
        return ops.cast(self.decoder(z_q, training=training), "float32")

    def encode(self, x, labels=None):
        """The codes of images: float `[B,H,W,C]` to int32 `[B,h,w]`."""
        x, _ = self._inputs(x, labels)
        return self.quantizer(self.features(x))["codes"]

    def decode(self, codes, labels=None):
        """The mean images of codes: int32 `[B,h,w]` to float32 `[B,H,W,C]` in [0, 1].

        Raises:
            ValueError: if `codes` are not integers.
        """
        self._check_labels(labels, None)
        codes = ops.convert_to_tensor(codes)
        if "int" not in keras.backend.standardize_dtype(codes.dtype):
            raise ValueError(f"Expected `codes` to be int32. Received: dtype={codes.dtype}")
        return self.likelihood.mean(self.likelihood_params(self.quantizer.lookup(codes)))

    def reconstruct(self, x, labels=None):
        """Images from the codes of images: float32 `[B,H,W,C]` in [0, 1]; deterministic."""
        return self.decode(self.encode(x, labels))

    def latents(self, seeds, temperature):
        raise NotImplementedError(NO_PRIOR)

    def posterior(self, x, labels=None, training=False):
        raise NotImplementedError(NO_PRIOR)

    def get_config(self):
        quantizer = keras.saving.serialize_keras_object(self.quantizer)
        return {**super().get_config(), "quantizer": quantizer, "commitment_cost": self.commitment_cost}


NO_PRIOR = (
    "A VQVAE has no distribution over its codes until a prior is fitted to them, so that it cannot sample, nor give a "
    "log-probability. encode, decode and reconstruct need none."
)
