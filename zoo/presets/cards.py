"""The `README.md` of a preset, with the YAML head that Hugging Face reads."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zoo.evaluation.figures import Figure
from zoo.runtime import checks

# The names of TFDS's datasets at the Hugging Face hub.
HUB = {"mnist": "ylecun/mnist", "fashion_mnist": "zalando-datasets/fashion_mnist", "cifar10": "uoft-cs/cifar10"}
TAGS = ("variational-autoencoder", "vae", "tensorflow", "tflite")


def check(card: Mapping[str, Any]) -> None:
    """Raises ValueError, which names the entry, for a card that JSON cannot hold or `readme` cannot show."""
    for name in ("name", "description", "license"):
        value = card[name]
        if not isinstance(value, str) or not value.strip() or "\n" in value:
            checks.fail(f"card[{name!r}]", "a text of one line", value)
    if not re.fullmatch(r"[\w.+-]+", card["license"]):
        checks.fail("card['license']", "the name of a license, such as apache-2.0", card["license"])
    for name in ("datasets", "tags"):
        values = card.get(name, ())
        if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
            checks.fail(f"card[{name!r}]", "a list of texts", values)
    for name in ("author", "command", "commit", "date", "limits", "machine", "training_data"):
        if not isinstance(card.get(name), (str, type(None))):
            checks.fail(f"card[{name!r}]", "a text", card[name])
    picture = card.get("picture")
    if picture is not None and not (isinstance(picture, Mapping) and isinstance(picture.get("file"), str)):
        checks.fail("card['picture']", "a dict with `file`, the name of a picture", picture)
    evaluation = card.get("evaluation")
    if evaluation is not None and not (isinstance(evaluation, Mapping) and isinstance(evaluation.get("command"), str)):
        checks.fail("card['evaluation']", "a dict with `command`, a text", evaluation)
    results = card.get("results", ())
    if not isinstance(results, (list, tuple)) or not all(map(_is_figure, results)):
        checks.fail("card['results']", "a list of figures, as zoo.evaluation.Figure.as_dict gives them", results)
    try:
        json.dumps(card, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected `card` to be a dict that JSON can hold. Received: {error}") from error


def _is_figure(result):
    fields = {field.name for field in dataclasses.fields(Figure)}
    if not isinstance(result, Mapping) or not {"name", "value", "split"} <= {*result} <= fields:
        return False
    others = (result.get(name) for name in ("error", "num_examples"))
    return checks.is_number(result["value"]) and all(each is None or checks.is_number(each) for each in others)


def readme(card: Mapping[str, Any], shipped: bool = False) -> str:
    """The text of `README.md`.

    Args:
        card: dict, the content of `card.json`. `name`, `description`, `license` and `model` are needed; `datasets`,
            `tags`, `results`, `command`, `commit`, `date`, `seed`, `machine`, `training_data`, `training_seconds`,
            `training_cpu_seconds`, `evaluation`, `prior`, `decoder`, `limits` and `picture` are used if they are there.
        shipped: bool, whether the preset comes with the package, which finds it by its name.
    """
    parts = [_head(card), f"# {card['name']}", card["description"], *_picture(card)]
    parts += [_use(card, shipped), *_results(card)]
    return "\n\n".join([*parts, *_training(card), *_limits(card)]) + "\n"


def _head(card: Mapping[str, Any]) -> str:
    lines = ["---", "library_name: keras", f"license: {card['license'].lower()}"]
    lines += _list("datasets", [HUB.get(name, name) for name in card.get("datasets", ())])
    lines += _list("tags", (*TAGS, *(tag for tag in card.get("tags", ()) if tag not in TAGS)))
    lines += _model_index(card) if card.get("results") else []
    return "\n".join([*lines, "---"])


def _list(name: str, values: Iterable[str]) -> list[str]:
    values = list(values)
    return [f"{name}:", *(f"- {_text(value)}" for value in values)] if values else []


def _model_index(card):
    """The results by the split that they were measured on, as `model-index` wants them."""
    dataset = (card.get("datasets") or ["unknown"])[0]
    lines = ["model-index:", f"- name: {_text(card['name'])}", "  results:"]
    for split in dict.fromkeys(result["split"] for result in card["results"]):
        lines += ["  - task:", "      type: unconditional-image-generation", "    dataset:"]
        lines += [f"      name: {_text(dataset)}", f"      type: {_text(dataset)}", f"      split: {_text(split)}"]
        lines += ["    metrics:"]
        for result in card["results"]:
            if result["split"] == split:
                lines += [f"    - type: {_text(result['name'])}", f"      value: {json.dumps(result['value'])}"]
                lines += [f"      name: {_text(' '.join([result['name'], *_unit(result)]))}"]
    return lines


def _unit(result: Mapping[str, Any]) -> Sequence[str]:
    return [f"({result['unit']})"] if result.get("unit") else []


def _text(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)  # a JSON string is a YAML string


def _picture(card):
    return [f"![{card['picture'].get('about', '')}]({card['picture']['file']})"] if card.get("picture") else []


def _use(card, shipped):
    # A run of a recipe has the name of the preset that it once made: by that name it would find another model.
    address, others = (card["name"], "or") if shipped else ("PATH", "its address on a hub, such as hf://user/name, or")
    loading = f"""## Use

```python
import zoo  # pip install vae-zoo

model = zoo.from_preset({json.dumps(address)})  # {others} the path of this folder
```

"""
    signatures = (
        "signatures `reconstruct`, `encode`, `decode`, `sample` and `log_prob`. The same seed gives the same sample"
    )
    if card.get("without_int8"):
        return f"""{loading}\
The folder `1/` is a SavedModel for TensorFlow alone. It has the
{signatures} as in Keras. For a TFLite file,
which runs with LiteRT alone:

    python -m zoo export {address} --output model_int8.tflite --quantization int8"""
    return f"""{loading}\
The folder `1/` is a SavedModel for TensorFlow alone, and `model_int8.tflite` runs with LiteRT alone. Both have the
{signatures} in all of
them, up to the precision of 8-bit weights in the TFLite file."""


def _results(card):
    if not card.get("results"):
        return []
    rows = ["## Results", "", "| figure | value | measured on | how |", "|---|---|---|---|"]
    for result in card["results"]:
        where = (
            f"{result['num_examples']} {result['split']} examples" if result.get("num_examples") else result["split"]
        )
        rows.append(f"| {result['name']} | {amount(result)} | {where} | {result.get('about', '')} |")
    text = "Errors are standard errors over examples, or the standard deviation over seeds where the table says so."
    if card.get("evaluation"):
        text += f" The last evaluation was by this command:\n\n    {card['evaluation']['command']}"
    return ["\n".join([*rows, "", text])]


def amount(result: Mapping[str, Any]) -> str:
    """The value of a result with its error and unit."""
    return Figure(**result).amount()


def _training(card):
    facts = [
        ("Model", card.get("model")),
        ("Data", card.get("training_data")),
        ("Command", f"`{card['command']}`" if card.get("command") else None),
        ("Commit", card.get("commit")),
        ("Date", card.get("date")),
        ("Seed", card.get("seed")),
        ("Machine", card.get("machine")),
        ("Wall time", _duration(of_all_stages(card, "training_seconds"))),
        ("CPU time", _duration(of_all_stages(card, "training_cpu_seconds"))),
    ]
    rows = [f"- {name}: {value}" for name, value in facts if value is not None]
    return ["\n".join(["## Training", "", *rows])]


def of_all_stages(card: Mapping[str, Any], name: str) -> float | None:
    """The sum of a time over the stages of a training: the model's, its prior's and its sharp decoder's."""
    seconds = [stage.get(name) for stage in (card, *(card.get(key) or {} for key in ("prior", "decoder")))]
    return sum(each or 0.0 for each in seconds) if seconds[0] is not None else None


def _duration(seconds):
    if seconds is None:
        return None
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def _limits(card):
    return [f"## Limits\n\n{card['limits']}"] if card.get("limits") else []
