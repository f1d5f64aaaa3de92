"""A small grid: its table, what is refused, and that a tune that was stopped goes on as if it had not been."""

import csv
import dataclasses
import json
import types

import numpy as np
import pytest

import zoo
from zoo import callbacks, data, networks, training
from zoo.training import tuning

GRID = tuning.Grid(betas=(0.5, 4.0), latents=(2,), epochs=2, images=40)
EXACT = ("beta", "latents", "rate", "distortion", "elbo", "elbo_error", "active_units")


@dataclasses.dataclass(frozen=True)
class Flags:
    latent_dim: int = training.flag(4)


@dataclasses.dataclass(frozen=True)
class FlagsWithBeta(Flags):
    beta: float = training.flag(3.0)


@dataclasses.dataclass(frozen=True)
class FlagsWithMethod(Flags):
    method: str = training.flag("factor", choices=("beta", "factor"))
    beta: float = training.flag(3.0, only={"method": ("beta",)})


def build(flags, image_shape, seed):
    encoder = networks.mlp_encoder(image_shape, flags.latent_dim, hidden=(8,))
    decoder = networks.mlp_decoder(image_shape, flags.latent_dim, hidden=(8,))
    return zoo.VAE(encoder, decoder, "bernoulli", seed=seed)


def build_with_beta(flags, image_shape, seed):
    plain = build(flags, image_shape, seed)
    return zoo.BetaVAE(plain.encoder, plain.decoder, "bernoulli", beta=flags.beta, seed=seed)


def build_vaeac(flags, image_shape, seed):
    given = (*image_shape[:2], 2 * image_shape[2])
    encoder = networks.mlp_encoder(given, flags.latent_dim, hidden=())
    numbers = int(np.prod(given)) + flags.latent_dim
    return zoo.VAEAC(encoder, networks.mlp_decoder(image_shape, numbers, hidden=()), seed=seed)


def load(flags, image_shape, disk_folder):
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 1), dtype=np.uint8)
    return data.Splits(*(data.Images(images[part]) for part in (slice(50), slice(50, 70), slice(70, 90))))


def recipe(**changes):
    settings = {"build": build, "flags": Flags, "load": load, "batch_size": 10, "binarization": "dynamic"}
    settings |= {"steps_per_execution": 1}  # so that a run can stop after any step
    return training.Recipe("small", "Small.", (8, 8, 1), **{**settings, **changes})


def exact(folder):
    return [[row[name] for name in EXACT] for row in tuning.read_rows(folder / "results.csv")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, tuning.tune(recipe(), [], GRID, folder)


def test_each_model_has_a_row_with_its_terms_in_nats(whole):
    folder, tuned = whole
    with open(folder / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(float(row["beta"]), int(row["latents"])) for row in rows] == [(0.5, 2), (4.0, 2)]
    assert list(rows[0]) == [*EXACT, "seconds", "cpu_seconds"]
    for row, point in zip(rows, tuned.points, strict=True):
        assert float(row["elbo"]) == pytest.approx(-float(row["rate"]) - float(row["distortion"]), rel=1e-9)
        assert point.elbo == pytest.approx(float(row["elbo"])) and 0 <= point.active_units <= 2
    assert float(rows[0]["rate"]) > float(rows[1]["rate"]) > 0  # the larger β allows a smaller rate
    # Nothing but the state is left.
    assert sorted(path.name for path in folder.iterdir()) == ["results.csv", "settings.json"]


def test_a_recipe_without_beta_is_recommended_its_latents_at_beta_1(whole):
    _, tuned = whole
    assert tuned.flags == "--latent-dim 2" and tuned.recommendation.point.beta in (0.5, 4.0)


@pytest.mark.long
def test_a_tune_that_was_stopped_goes_on_with_the_same_results(whole, at, tmp_path, capsys):
    """It stops in the second model, after 5 of 8 steps."""
    calls = []

    def stop(model):
        calls.append(model)
        if len(calls) == 2:
            raise KeyboardInterrupt

    stopping = recipe(callbacks=lambda flags, steps: at(5, stop)(flags, steps)[1:])
    with pytest.raises(SystemExit) as stopped:
        tuning.tune(stopping, [], GRID, tmp_path)
    assert stopped.value.code == 130 and exact(tmp_path) == exact(whole[0])[:1]
    assert (tmp_path / "beta_4_latents_2" / "checkpoints").is_dir()
    capsys.readouterr()
    tuning.tune(recipe(), [], GRID, tmp_path)
    printed = capsys.readouterr().out
    assert "model 1 of 1: β = 4, 2 latents" in printed and "resuming at step 5 of 8" in printed
    np.testing.assert_allclose(exact(tmp_path), exact(whole[0]), rtol=1e-6)
    assert not (tmp_path / "beta_4_latents_2").exists()


def test_beta_reaches_the_model(tmp_path):
    flags = tuning._flags(recipe(), [], GRID, tmp_path, 0.25, 3)
    model = tuning._build(recipe(), flags, 0.25)
    assert float(model.kl_weight) == 0.25 and model.latent_dim == 3
    of_flag = recipe(flags=FlagsWithBeta, build=build_with_beta)
    flags = tuning._flags(of_flag, ["--seed", "5"], GRID, tmp_path, 0.25, 3)
    model = tuning._build(of_flag, flags, 0.25)
    assert (model.beta, float(model.kl_weight), flags.seed) == (0.25, 1.0, 5)
    assert tuning._flags_for(of_flag, zoo.evaluation.Point(**dict.fromkeys(tuning.Point.__dataclass_fields__, 2))) == (
        "--beta 2 --latent-dim 2"
    )


def test_models_are_compared_on_validation_images(tmp_path):
    flags = tuning._flags(recipe(), [], GRID, tmp_path, 1.0, 2)
    found, whole = tuning._slices(recipe(), flags, GRID), load(None, None, None)
    chosen = {image.tobytes() for image in found.train.images}
    assert len(chosen) == 40 and chosen <= {image.tobytes() for image in whole.train.images}
    assert chosen != {image.tobytes() for image in whole.train.images[:40]}  # which may all be of one class
    np.testing.assert_array_equal(found.validation.images, whole.validation.images)


def test_the_error_of_the_elbo_is_that_of_its_mean(monkeypatch, tmp_path):
    """A thousand ELBOs of a standard deviation of 1."""
    elbo = np.tile([-1.0, -3.0], 500)
    terms = types.SimpleNamespace(rate=-elbo, distortion=0.0 * elbo, elbo=elbo, active_units=1)
    monkeypatch.setattr(tuning.evaluation, "latent_terms", lambda *_: terms)
    monkeypatch.setattr(tuning.model_stage, "train", lambda *_: None)
    flags = tuning._flags(recipe(), [], GRID, tmp_path, 1.0, 2)
    found = tuning._measure(recipe(), flags, tuning._build(recipe(), flags, 1.0), load(None, None, None))
    assert found["elbo"] == -2.0 and found["elbo_error"] == pytest.approx(1000**-0.5, rel=1e-2)


def test_a_slice_of_more_images_than_there_are_is_told(tmp_path, capsys):
    flags = tuning._flags(recipe(), [], GRID, tmp_path, 1.0, 2)
    assert len(tuning._slices(recipe(), flags, GRID).train) == 40 and "slice" not in capsys.readouterr().out
    assert len(tuning._slices(recipe(), flags, dataclasses.replace(GRID, images=51)).train) == 50
    assert capsys.readouterr().out.endswith("slice: all 50 training images, as there are no 51\n")


def test_by_default_there_are_half_and_twice_the_latents_of_the_recipe():
    points = tuning._points(recipe(), tuning.Grid(betas=(1.0, 2.0, 1.0)))
    assert points == [(1.0, 2), (2.0, 2), (1.0, 4), (2.0, 4), (1.0, 8), (2.0, 8)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flags": training.recipe.NoFlags}, "Expected `recipe` to be one with the flag --latent-dim. Received: "),
        ({"callbacks": lambda flags, steps: [callbacks.KLWarmup(steps)]}, "a free kl_weight. .*with VAE, KLWarmup"),
        ({"flags": FlagsWithBeta}, "one whose --beta is that of its model. Received: recipe='small, a VAE'"),
        ({"flags": FlagsWithMethod}, "one whose --beta is that of its model. Received: recipe='small --method factor'"),
        ({"build": lambda flags, *rest: build_with_beta(FlagsWithBeta(), *rest)}, "small, with BetaVAE"),
        (
            {"build": build_vaeac},
            "rate and distortion are of whole images. Received: recipe='small, a VAEAC'",
        ),
    ],
)
def test_recipes_whose_beta_or_latents_are_not_free_are_refused(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        tuning.tune(recipe(**changes), [], GRID, tmp_path)
    assert not (tmp_path / "results.csv").exists()


def test_a_folder_of_other_settings_is_refused_unless_it_is_cleared(tmp_path):
    done = dict.fromkeys((*EXACT, "seconds"), 1.0) | {"latents": 2, "active_units": 1}
    small = dataclasses.replace(GRID, betas=(1.0,))
    flags = tuning._flags(recipe(), [], small, tmp_path, 1.0, 2)
    tuning._require_same_settings(tmp_path, flags, small)
    zoo.runtime.files.write_csv(tmp_path / "results.csv", [done])
    assert tuning.tune(recipe(), [], small, tmp_path).points[0].latents == 2  # nothing is trained
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv", "settings.json"]
    other = dataclasses.replace(small, images=41)
    with pytest.raises(ValueError, match="Expected the settings of .* Received: slice was 40 and is 41. Give another"):
        tuning.tune(recipe(), [], other, tmp_path)
    with pytest.raises(ValueError, match="Received: seed was 0 and is 1"):
        tuning.tune(recipe(), ["--seed", "1"], small, tmp_path)
    assert json.loads((tmp_path / "settings.json").read_text())["slice"] == "40"


@pytest.mark.parametrize("flags", [["--latent-dim", "3"], ["--epochs=4"]])
def test_flags_that_the_grid_sets_are_refused(flags, tmp_path):
    with pytest.raises(ValueError, match=f"Expected `{flags[0].split('=')[0]}` to be left to the grid"):
        tuning.tune(recipe(), flags, GRID, tmp_path)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("--betas", {"betas": (0.0,)}),
        ("--latents", {"latents": (0,)}),
        ("--epochs", {"epochs": 0}),
        ("--slice", {"images": 0}),
    ],
)
def test_grids_out_of_range_are_refused(name, arguments):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be "):
        tuning.Grid(**arguments)
