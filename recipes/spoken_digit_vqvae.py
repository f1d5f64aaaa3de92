"""VQ-VAE, or VAE, of spoken digits by log-mel spectrograms; it takes and gives waveforms.

    python recipes/spoken_digit_vqvae.py
    python recipes/spoken_digit_vqvae.py --wav FOLDER
    python recipes/spoken_digit_vqvae.py --model vae
    python recipes/spoken_digit_vqvae.py --sample

The first takes `spoken_digit` of TensorFlow Datasets; --wav takes the WAV files of a folder, such as a copy of the
recordings of the Free Spoken Digit Dataset. Codes take 500 bits a second. Training keeps the weights
of the best ELBO, or loss, on validation sounds. Written to --output:

- `originals.wav` and `reconstructions.wav`, test sounds after each other, and `samples.wav`, sounds from --seed;
- `model.keras`, and `export/`, a SavedModel: waveforms [B,S] in, waveforms or codes out;
- `metrics.json`: the log-spectral distance between test sounds and their reconstructions, bits a second, and the
  accuracy of a classifier of spectrograms, trained on originals, on original and on reconstructed test sounds; both
  also for what Griffin-Lim makes of the true spectrograms; and `sounds.png`.

--sample takes digits of a synthesiser of a few lines (`zoo.data.made_digits`).

Hardware: two CPU cores. Time of the first: 173 seconds of CPU time in training. Seed 0, on the 300 test recordings: a
log-spectral distance of 4.0 dB at 500 bits a second, and an accuracy of 0.970 on reconstructions, 0.980 on originals.
"""

import argparse
import pathlib
import time

import zoo  # noqa: F401  (before TensorFlow, which reads the settings that zoo makes)

# isort: split
import keras
import numpy as np
from matplotlib.figure import Figure

from zoo import applications, data, priors
from zoo.runtime import checks, files
from zoo.spectra import Mel

_HEARD = 6  # sounds in a WAV file


def load(flags):
    if flags.sample:
        return data.made_digits(600)
    if flags.wav is not None:
        return data.load_sounds(flags.wav, flags.rate, flags.samples)
    return data.load_spoken_digits(flags.data_dir, flags.samples)


def features(waveforms, mel):
    """What the classifier sees: log-mel spectrograms, means over 16 parts of time; float64 `[N, 16·mels]`."""
    parts = []
    for i in range(0, len(waveforms), 256):
        spectrograms = np.asarray(mel.log_mel(waveforms[i : i + 256]), np.float64)
        number, frames, mels = spectrograms.shape
        kept = frames // 16 * 16
        parts.append(spectrograms[:, :kept].reshape(number, 16, -1, mels).mean(axis=2).reshape(number, -1))
    return np.concatenate(parts)


def accuracies(train, test, several, mel):
    """Of a classifier that has learned from the training sounds, on `several` sounds with the labels of the test."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    judge = make_pipeline(StandardScaler(), SVC(C=10.0)).fit(features(train.waveforms, mel), train.labels)
    return {f"accuracy_{name}": judge.score(features(each, mel), test.labels) for name, each in several.items()}


def train(flags, sounds, validation):
    mel = Mel(sounds.rate)
    if flags.model == "vae":
        model = applications.sound_vae(sounds, mel, flags.latent_dim, seed=flags.seed)
    else:
        model = applications.sound_vqvae(sounds, mel, flags.codes, flags.depth, filters=flags.filters, seed=flags.seed)
    steps = max(1, len(sounds) // flags.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(flags.learning_rate, steps * flags.epochs)
    model.compile(keras.optimizers.Adam(rate), steps_per_execution=max(n for n in range(1, 11) if steps % n == 0))
    watched, mode = ("val_elbo", "max") if flags.model == "vae" else ("val_loss", "min")
    stop = keras.callbacks.EarlyStopping(watched, 0.0, flags.epochs, mode=mode, restore_best_weights=True)
    model.fit(
        sounds.waveforms[: steps * flags.batch_size], epochs=flags.epochs, batch_size=flags.batch_size,
        validation_data=(validation.waveforms,), callbacks=[stop], verbose=2 if flags.verbose else 0,
    )  # fmt: skip
    return model, mel


def fit_prior(flags, model, sounds):
    """Attaches a transformer over the codes of the training sounds, from which the model samples."""
    codes = model.encode(sounds.waveforms)
    prior = priors.Transformer(model.num_codes, tuple(codes.shape[1:]), width=64, depth=2, dropout=0.1, seed=flags.seed)
    prior.compile(keras.optimizers.Adam(2e-3))
    prior.fit(codes, epochs=flags.prior_epochs, batch_size=32, verbose=0)
    model.prior = prior


def plot(originals, reconstructions, mel, path):
    """Spectrograms of test sounds, and of their reconstructions below."""
    number = min(_HEARD, len(originals))
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    axes = figure.subplots(2, number, sharex=True, sharey=True, squeeze=False)
    seconds = originals.shape[1] / mel.rate
    for row, (title, sounds) in zip(axes, {"original": originals, "reconstruction": reconstructions}.items()):
        row[0].set_ylabel(f"{title}\nmel band")
        for axis, spectrogram in zip(row, np.asarray(mel.log_mel(sounds[:number]))):
            axis.imshow(spectrogram.T, origin="lower", aspect="auto", extent=(0, seconds, 0, mel.mels), vmin=-4, vmax=4)
    axes[1, 0].set_xlabel("seconds")
    figure.savefig(path, dpi=80)


def one_of_each(sounds):
    """The first sounds of different labels, then any others."""
    labels = np.arange(len(sounds)) if sounds.labels is None else sounds.labels
    firsts = [int(np.argmax(labels == label)) for label in dict.fromkeys(labels.tolist())]
    return np.array([*firsts, *(i for i in range(len(sounds)) if i not in firsts)])[:_HEARD]


def write(flags, model, test, reconstructions, mel):
    shown = one_of_each(test)
    several = {"originals": test.waveforms[shown], "reconstructions": reconstructions[shown]}
    if model.can_sample:
        several["samples"] = np.asarray(model.sample(_HEARD, seed=flags.seed))
    for name, sounds in several.items():
        data.write_wav(flags.output / f"{name}.wav", sounds.ravel(), test.rate)
    plot(several["originals"], several["reconstructions"], mel, flags.output / "sounds.png")
    model.save(flags.output / "model.keras")
    if not flags.no_export:
        model.export(flags.output / "export")


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--wav", type=pathlib.Path, help="a folder with WAV files")
    source.add_argument("--sample", action="store_true", help="made digits")
    parser.add_argument("--data-dir", type=pathlib.Path, help="the folder of TensorFlow Datasets")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/spoken_digit_vqvae"))
    parser.add_argument("--model", choices=("vqvae", "vae"), default="vqvae", help="default: %(default)s")
    parser.add_argument("--rate", type=int, default=8000, help="samples a second, with --wav; default: %(default)s")
    parser.add_argument("--samples", type=int, default=8192, help="of each sound; default: %(default)s")
    parser.add_argument("--codes", type=int, default=256, help="codes of a level; default: %(default)s")
    parser.add_argument("--depth", type=int, default=4, help="levels of residual quantisation; default: %(default)s")
    parser.add_argument("--latent-dim", type=int, default=32, help="of --model vae; default: %(default)s")
    parser.add_argument("--filters", type=int, default=128, help="of the VQ-VAE's networks; default: %(default)s")
    parser.add_argument("--epochs", type=int, help="default: 30; 10 for --sample")
    parser.add_argument("--prior-epochs", type=int, help="of the prior over codes; default: 10; 3 for --sample")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0, help="of weights, order, noise and samples")
    parser.add_argument(
        "--judge", choices=("validation", "test"), default="test", help="sounds of the figures; default: %(default)s"
    )
    parser.add_argument("--verbose", action="store_true", help="print a line for each epoch")
    parser.add_argument("--no-export", action="store_true", help="leave out the SavedModel")
    flags = parser.parse_args(argv)
    flags.epochs = flags.epochs or (10 if flags.sample else 30)
    if flags.prior_epochs is None:
        flags.prior_epochs = 3 if flags.sample else 10
    try:
        checks.multiple("--samples", flags.samples, 64 * 8)
        files.require_writable("--output", flags.output)
        sounds = load(flags)
        if len(sounds) < flags.batch_size * 2:
            checks.fail("--wav", f"a folder with at least {flags.batch_size * 2} WAV files", f"{len(sounds)} files")
        return flags, sounds
    except (ValueError, data.DataError) as error:
        parser.error(str(error))


def main(argv=None):
    flags, sounds = parse(argv)
    keras.utils.set_random_seed(flags.seed)
    flags.output.mkdir(parents=True, exist_ok=True)
    first, validation, test = sounds.split()
    began, cpu = time.perf_counter(), time.process_time()
    model, mel = train(flags, first, validation)
    if flags.model == "vqvae" and flags.prior_epochs:
        fit_prior(flags, model, first)
    metrics = {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(time.process_time() - cpu, 1)}
    metrics |= {"sounds": len(first), "cropped": sounds.cropped}
    judged = validation if flags.judge == "validation" else test
    reconstructions = np.asarray(model.reconstruct(judged.waveforms))
    # What Griffin-Lim alone makes of the true spectrograms, for comparison.
    phases = np.concatenate(
        [mel.griffin_lim(mel.log_mel(judged.waveforms[i : i + 100])) for i in range(0, len(judged), 100)]
    )
    several = {"originals": judged.waveforms, "griffin_lim": phases, "reconstructions": reconstructions}
    for name in ("griffin_lim", "reconstructions"):
        distance = applications.log_spectral_distance(judged.waveforms, several[name], mel)
        metrics[f"log_spectral_distance_{name}"] = float(distance.mean())
    if flags.model == "vqvae":
        metrics["bits_per_second"] = applications.bits_per_second(model, sounds.rate)
    if sounds.labels is not None and len(sounds.classes) > 1:
        metrics |= accuracies(first, judged, several, mel)
    write(flags, model, judged, reconstructions, mel)
    files.write_json(flags.output / "metrics.json", metrics)
    print("  ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
    return metrics


if __name__ == "__main__":
    main()
