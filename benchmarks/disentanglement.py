"""How well β-VAE, β-TCVAE and FactorVAE disentangle the factors of rendered sprites: MIG, FactorVAE score and DCI.

    python benchmarks/disentanglement.py --results runs/disentanglement.jsonl
    python benchmarks/disentanglement.py --results runs/disentanglement.jsonl --table

Trains the model of recipes/sprites_factor_vae.py with each method and each of --seeds, on 32×32 images by default, and
measures it on all images. The second command trains nothing: it prints the table of the runs so far. Each run is
written to the file as soon as it is done, and the same command goes on after the last of them; runs with other settings
in the same file are left alone. DCI is of a random forest (`zoo.evaluation.dci`, trees="forest"), and the FactorVAE
score has 2,000 votes to fit and 1,000 to measure; all else is the protocol of disentanglement_lib.
"""

import importlib.util
import pathlib

import zoo
from zoo import data, evaluation

import keras

RECIPES = pathlib.Path(__file__).parents[1] / "recipes"
# Method and weight, as in the flags of the recipe: β, or γ of a FactorVAE.
CONTENDERS = (("beta", 1.0), ("beta", 4.0), ("beta", 8.0), ("tc", 6.0), ("factor", 20.0))
NAMES = {"beta": "β-VAE, β = {:g}", "tc": "β-TCVAE, β = {:g}", "factor": "FactorVAE, γ = {:g}"}
SHOWN = {
    "mig": "MIG",
    "factor_vae_score": "FactorVAE score",
    "dci_disentanglement": "DCI disentanglement",
    "reconstruction": "−log p(x\\|z), nats",
    "kl": "KL, nats",
}


def recipe():
    spec = importlib.util.spec_from_file_location("sprites_factor_vae", RECIPES / "sprites_factor_vae.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def train(method, weight, seed, images, flags):
    """A model of the recipe, trained for --steps steps."""
    keras.utils.set_random_seed(seed)
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16" if flags.bfloat16 else "float32")
    module = recipe()
    weights = {"gamma" if method == "factor" else "beta": weight}
    own = module.Flags(method=method, image_size=flags.image_size, latent_dim=flags.latent_dim, **weights)
    model = module.build(own, module.main.recipe.shape(own), seed)
    schedule = keras.optimizers.schedules.CosineDecay(flags.learning_rate, flags.steps)
    critic = {"critic_optimizer": keras.optimizers.Adam(1e-3, 0.5, 0.9)} if method == "factor" else {}
    model.compile(zoo.optimizers.Adam(schedule), steps_per_execution=50, **critic)
    batches = data.batches(images, flags.batch_size, seed=seed, shuffle=True, epochs=None)
    model.fit(batches, steps_per_epoch=flags.steps, epochs=1, shuffle=False, verbose=0)
    return model


def measure(model, sprites, test, seed):
    """All figures of a trained model."""
    votes = {"num_examples": 2000, "num_test": 1000}
    figures = evaluation.mig(model.embed, sprites, seed=seed)
    figures |= evaluation.modularity(model.embed, sprites, seed=seed)
    figures |= evaluation.factor_vae_score(model.embed, sprites, seed=seed, **votes)
    figures |= evaluation.dci(model.embed, sprites, seed=seed, trees="forest")
    figures |= model.evaluate(data.batches(test, 500), verbose=0, return_dict=True)
    return figures
