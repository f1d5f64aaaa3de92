"""The importance-weighted bound of a trained model on test images.

    python benchmarks/log_prob.py --model runs/mnist_hvae/model.keras --dataset mnist --binarization dynamic

Prints −log p(x) in nats, the mean over the first --images test images of the bound with --num-samples samples each
(Burda et al. 2016, eq. (8)), with its standard error over the images, and −ELBO on the same.
"""

import argparse
import math
import time

import zoo  # noqa: F401  (its classes, for loading)
from zoo import data, evaluation

import keras


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the model.keras of a run")
    parser.add_argument("--dataset", default="mnist", help="default: %(default)s")
    parser.add_argument("--data-dir", help="where TFDS finds it")
    parser.add_argument("--binarization", choices=("none", "dynamic"), default="none", help="as in training")
    parser.add_argument("--num-samples", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--images", type=int, default=2000, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of binarisation and samples")
    flags = parser.parse_args(argv)

    model = keras.models.load_model(flags.model)
    test = data.load(flags.dataset, flags.data_dir).test
    test = test.take(range(min(flags.images, len(test))))
    dynamic = flags.binarization == "dynamic"
    batches = data.batches(test, flags.batch_size, seed=flags.seed, dynamic=dynamic, labels=model.conditional)
    for number in (1, flags.num_samples):
        began = time.perf_counter()
        figures = evaluation.log_prob(model, batches, number, flags.seed)
        name = "−ELBO" if number == 1 else f"−log p(x), {number} samples"
        nats, error = -figures["log_prob"], figures["standard_error"]
        bits = nats / math.log(2) / math.prod(test.images.shape[1:])
        print(
            f"{name}: {nats:.3f} ± {error:.3f} nats ({bits:.4f} bits per dim) on {len(test)} test images, "
            f"{time.perf_counter() - began:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
