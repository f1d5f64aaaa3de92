"""How well β-VAE, β-TCVAE and FactorVAE disentangle the factors of rendered sprites: MIG, FactorVAE score and DCI.

    python benchmarks/disentanglement.py --results runs/disentanglement.jsonl
    python benchmarks/disentanglement.py --results runs/disentanglement.jsonl --table
    python benchmarks/disentanglement.py --model runs/sprites_factor_vae/model.keras

The first command trains the model of recipes/sprites_factor_vae.py with each method and each of --seeds, and measures
it. Each run is written to the file as soon as it is done. The same command goes on after the last of them; runs with
other settings in the same file are left alone. The second command trains nothing and prints the table of the runs so
far, the median over the seeds and the smallest and largest value. The third command measures a trained model.

The scores follow the protocol of disentanglement_lib, with two deviations that save time: DCI is by a random forest
(`zoo.evaluation.dci`, trees="forest"), and the FactorVAE score has 2,000 votes to fit and 1,000 to measure.
"""

import argparse
import importlib.util
import json
import pathlib
import statistics
import time

import zoo
from zoo import data, evaluation

import keras
import machine

RECIPE = pathlib.Path(__file__).parents[1] / "recipes" / "sprites_factor_vae.py"
# Method and weight, as in the flags of the recipe: β, or γ of a FactorVAE.
CONTENDERS = (("beta", 1.0), ("beta", 4.0), ("beta", 8.0), ("tc", 6.0), ("factor", 20.0))
NAMES = {"beta": "β-VAE, β = {:g}", "tc": "β-TCVAE, β = {:g}", "factor": "FactorVAE, γ = {:g}"}
SCORES = {
    "mig": ("MIG", 3),
    "factor_vae_score": ("FactorVAE score", 3),
    "dci_disentanglement": ("DCI disentanglement", 3),
    "reconstruction": ("−log p(x\\|z), nats", 1),
    "kl": ("KL, nats", 1),
}
VOTES = {"num_examples": 2000, "num_test": 1000}


def recipe():
    spec = importlib.util.spec_from_file_location(RECIPE.stem, RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def train(method, weight, seed, images, flags):
    """A model of the recipe after --steps steps."""
    keras.utils.set_random_seed(seed)
    module = recipe()
    weights = {"gamma" if method == "factor" else "beta": weight}
    own = module.Flags(
        method=method, hidden=tuple(flags.hidden), image_size=flags.image_size, images=flags.images, **weights
    )
    model = module.build(own, module.main.recipe.shape(own), seed)
    rate = keras.optimizers.schedules.CosineDecay(flags.learning_rate, flags.steps)
    at_once = max(number for number in range(1, 51) if flags.steps % number == 0)
    model.compile(zoo.optimizers.Adam(rate), steps_per_execution=at_once, jit_compile=True)
    batches = data.batches(images, flags.batch_size, seed=seed, shuffle=True, epochs=None)
    model.fit(batches, steps_per_epoch=flags.steps, epochs=1, shuffle=False, verbose=0)
    return model


def measure(model, sprites, test, flags, seed):
    """All figures of a trained model; those of likelihood on the test split, the scores on images of the whole set."""
    share = {"num_examples": flags.examples, "seed": seed}
    votes = {name: max(1, number * flags.examples // 10_000) for name, number in VOTES.items()}
    figures = evaluation.mig(model.embed, sprites, **share)
    figures |= evaluation.modularity(model.embed, sprites, **share)
    figures |= evaluation.factor_vae_score(model.embed, sprites, seed=seed, **votes)
    figures |= evaluation.dci(model.embed, sprites, **share, num_test=max(1, flags.examples // 2), trees="forest")
    return figures | model.evaluate(data.batches(test, 500), verbose=0, return_dict=True)


def settings(flags):
    """All that the figures of a run depend on, beside its method, weight and seed."""
    names = ("steps", "batch_size", "learning_rate", "hidden", "image_size", "images", "examples")
    return {name: getattr(flags, name) for name in names}


def done(flags):
    """The runs of the file with these settings, by (method, weight, seed)."""
    if not flags.results.exists():
        return {}
    runs = [json.loads(line) for line in flags.results.read_text().splitlines()]
    return {(run["method"], run["weight"], run["seed"]): run for run in runs if run["settings"] == settings(flags)}


def compete(flags, splits, sprites, method, weight, seed):
    """Trains and measures one model, and adds it to the file."""
    begin, cpu = time.perf_counter(), time.process_time()
    model = train(method, weight, seed, splits.train, flags)
    trained, cpu_trained = time.perf_counter() - begin, time.process_time() - cpu
    figures = measure(model, sprites, splits.test, flags, seed)
    run = {
        "method": method,
        "weight": weight,
        "seed": seed,
        "settings": settings(flags),
        "training_seconds": round(trained, 1),
        "training_cpu_seconds": round(cpu_trained, 1),
        "seconds": round(time.perf_counter() - begin, 1),
        "figures": {name: float(figure) for name, figure in figures.items()},
    }
    with flags.results.open("a") as file:
        file.write(json.dumps(run) + "\n")
    return run


def table(runs):
    """Rows of Markdown: the median over the seeds, and the smallest and largest value."""
    titles = [title for title, _ in SCORES.values()]
    rows = [f"| model | seeds | {' | '.join(titles)} | CPU s |", "|" + "---|" * (len(titles) + 3)]
    for method, weight in dict.fromkeys(key[:2] for key in runs):
        group = [run for key, run in runs.items() if key[:2] == (method, weight)]
        cells = [NAMES[method].format(weight), str(len(group))]
        for name, (_, digits) in SCORES.items():
            values = [run["figures"][name] for run in group]
            low, middle, high = (f"{v:.{digits}f}" for v in (min(values), statistics.median(values), max(values)))
            cells.append(f"{middle} ({low} to {high})")
        seconds = statistics.median(run["training_cpu_seconds"] for run in group)
        rows.append("| " + " | ".join([*cells, f"{seconds:.0f}"]) + " |")
    return rows


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=pathlib.Path, help="file of one JSON object a line")
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--model", help="measure this .keras file instead")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument(
        "--contenders", nargs="+", default=[f"{method}:{weight:g}" for method, weight in CONTENDERS],
        help="method and weight, as in %(default)s",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, default=8_000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 256])
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--images", type=int, default=100_000, help="training images")
    parser.add_argument("--examples", type=int, default=10_000, help="images that the scores are fitted on")
    flags = parser.parse_args(argv)
    if flags.results is None and flags.model is None:
        parser.error("--results or --model is needed")
    sprites = data.Sprites(flags.image_size)
    if flags.model:
        model = keras.saving.load_model(flags.model)
        figures = measure(model, sprites, sprites.splits(1).test, flags, flags.seeds[0])
        print(json.dumps({name: round(float(figure), 4) for name, figure in figures.items()}, indent=1))
        return figures
    contenders = [(method, float(weight)) for method, weight in (each.split(":") for each in flags.contenders)]
    runs = done(flags)
    if not flags.table:
        splits = sprites.splits(flags.images)
        # Seed by seed: a benchmark that is stopped early has all contenders.
        for key in ((*contender, seed) for seed in flags.seeds for contender in contenders):
            if key not in runs:
                runs[key] = compete(flags, splits, sprites, *key)
                print(key, {name: round(runs[key]["figures"][name], 3) for name in SCORES}, flush=True)
    wanted = [(*contender, seed) for contender in contenders for seed in flags.seeds]
    runs = {key: runs[key] for key in wanted if key in runs}
    print("\n".join([f"{machine.line()}; {json.dumps(settings(flags))}", "", *table(runs)]))
    return runs


if __name__ == "__main__":
    main()
