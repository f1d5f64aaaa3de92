import pytest
import yaml

from zoo.presets import cards

CARD = {
    "name": "small",
    "description": 'A "small" VAE: of digits',
    "license": "Apache-2.0",
    "model": "VAE",
    "datasets": ["mnist"],
    "tags": ["mnist", "vae"],
    "command": "python recipes/mnist_vae.py",
    "training_seconds": 600,
    "training_cpu_seconds": 1200,
    "limits": "Digits only.",
    "results": [
        {"name": "elbo", "value": -83.1, "error": 0.25, "unit": "nats", "split": "test", "num_examples": 100},
        {"name": "mse", "value": 0.01, "split": "validation", "about": "mean"},
    ],
}


def test_the_head_is_yaml_with_a_model_index():
    text = cards.readme(CARD)
    head = yaml.safe_load(text.split("---\n")[1])
    assert (head["library_name"], head["license"], head["datasets"]) == ("keras", "apache-2.0", ["ylecun/mnist"])
    assert head["tags"].count("vae") == 1 and "mnist" in head["tags"]
    (model,) = head["model-index"]
    assert model["name"] == "small"
    assert [result["dataset"]["split"] for result in model["results"]] == ["test", "validation"]
    assert model["results"][0]["metrics"] == [{"type": "elbo", "value": -83.1, "name": "elbo (nats)"}]


def test_the_text_has_results_and_training():
    text = cards.readme(CARD)
    assert "| elbo | -83.10 ± 0.25 nats | 100 test examples |  |" in text
    assert "- Wall time: 10 minutes" in text and "- CPU time: 20 minutes" in text and "Digits only." in text
    assert 'from_preset("small")' in cards.readme(CARD, shipped=True)
    assert 'from_preset("small")' not in text and "path of this folder" in text
    stages = {"prior": {"training_seconds": 1800, "training_cpu_seconds": 0}, "decoder": {"training_seconds": 60}}
    assert "- Wall time: 41 minutes" in cards.readme(CARD | stages)
    assert "- Wall time: 20 seconds" in cards.readme(CARD | {"training_seconds": 20})
    assert "## Results" not in cards.readme({key: value for key, value in CARD.items() if key != "results"})


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("tags", "vae", "Expected `card\\['tags'\\]` to be a list of texts"),
        ("datasets", [1], "Expected `card\\['datasets'\\]` to be a list of texts"),
        ("license", None, "Expected `card\\['license'\\]` to be a text of one line"),
        ("license", "a: b", "to be the name of a license, such as apache-2.0"),
        ("description", "one\ntwo", "Expected `card\\['description'\\]` to be a text of one line"),
        ("results", ["x"], "to be a list of figures"),
        ("seed", {1}, "to be a dict that JSON can hold"),
    ],
)
def test_a_card_that_cannot_be_shown_is_refused(entry, value, message):
    cards.check(CARD)
    with pytest.raises(ValueError, match=message):
        cards.check(CARD | {entry: value})
