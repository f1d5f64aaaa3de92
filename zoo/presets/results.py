"""`saved_models/results.csv`: the measured figures of all presets."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.evaluation.figures import Figure
from zoo.presets import manifest, saving
from zoo.runtime import files, shipped

NAME = "results.csv"
_COLUMNS = ("name", "value", "error", "error_of", "unit", "split", "num_examples", "seed", "seconds", "about")


def update(
    folder: pathlib.Path, card: Mapping[str, Any], figures: Sequence[Figure], evaluation: Mapping[str, str]
) -> None:
    """Writes figures into the card of a preset and into its README.

    A figure replaces that of the same name and split. Figures that are not finite are left out, as JSON has no numbers
    for them.

    Args:
        folder: path of the preset.
        card: dict, its card.
        figures: of `Figure`.
        evaluation: dict of str, the command and the date, which the card keeps as `evaluation`.
    """
    new = {(each.name, each.split): each.as_dict() for each in figures if abs(each.value) < float("inf")}
    old = {(each["name"], each["split"]): each for each in card.get("results", ())}
    saving.update_card(folder, {**card, "results": [*{**old, **new}.values()], "evaluation": dict(evaluation)})


def write(folder: pathlib.Path | None = None) -> pathlib.Path | None:
    """Writes the figures of all presets in a folder to its `results.csv`, a row for each figure.

    The last column, `published`, is the reference for the same setting, from the entry `published` of a card: a dict of
    names of figures to texts such as "86.35 nats, one layer (Burda et al. 2016)".

    Args:
        folder: path; None for the presets that come with the package.

    Returns:
        the path of the file; None if no preset has a figure.
    """
    folder = shipped.folder() if folder is None else folder
    found = rows(folder)
    if not found:
        return None
    files.write_csv(folder / NAME, found)
    return folder / NAME


def rows(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The figures of all presets in a folder as dicts, in the order of the presets' names."""
    found = []
    for path in sorted(folder.glob(f"*/{manifest.NAME}")):
        card = manifest.read_card(path.parent)
        published = card.get("published", {})
        for result in card.get("results", ()):
            figure = {name: "" if result.get(name) is None else result.get(name) for name in _COLUMNS}
            found.append({"preset": path.parent.name, **figure, "published": published.get(result["name"], "")})
    return found
