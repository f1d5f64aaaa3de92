"""What a codebook is used for, counted over all codes that a metric has seen."""

from keras import metrics, ops


class _CodeUse(metrics.Metric):
    """Counts how often each of `num_codes` codes occurs."""

    def __init__(self, num_codes, **kwargs):
        super().__init__(**kwargs)
        self.counts = self.add_variable((num_codes,), "zeros", name="counts")

    def update_state(self, codes, sample_weight=None):
        one_hot = ops.one_hot(ops.reshape(codes, (-1,)), self.counts.shape[0])
        self.counts.assign_add(ops.sum(one_hot, axis=0))


class Perplexity(_CodeUse):
    """e^H of the codes' frequencies, H in nats: from 1, one code only, to K, all alike often."""

    def result(self):
        share = self.counts / ops.maximum(ops.sum(self.counts), 1.0)
        return ops.exp(-ops.sum(share * ops.log(ops.maximum(share, 1e-20))))


class CodebookUsage(_CodeUse):
    """The share of codes that occurred at all, in [0, 1]."""

    def result(self):
        return ops.mean(ops.cast(self.counts > 0, "float32"))
