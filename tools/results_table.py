"""Writes the table of results in README.md from saved_models/results.csv, between the two marks.

    python tools/results_table.py
    python tools/results_table.py --check

`python -m zoo evaluate PRESET --update-card` writes the CSV. With --check nothing is written, and the exit status is 1
if the table is out of date.
"""

import argparse
import csv
import itertools
import pathlib
import re
import sys

from zoo.evaluation.figures import Figure

ROOT = pathlib.Path(__file__).parents[1]
MARKS = ("<!-- results -->", "<!-- /results -->")
# The columns of the table: the title, and the figures below it by name, "*" standing for the name of the judge.
COLUMNS = {
    "ELBO": ("elbo",),
    "log p(x)": ("log_prob",),
    "bits per dim": ("bits_per_dim",),
    "squared error over variance": ("mse_over_variance",),
    "Fréchet distance of samples; reconstructions; test images": (
        "frechet_distance *", "frechet_distance of reconstructions *", "frechet_distance of test images *",
    ),
    "further": ("code_cross_entropy", "codebook_usage", "mig", "factor_vae_score", "dci_disentanglement"),
}  # fmt: skip
FURTHER = {
    "code_cross_entropy": "cross entropy of the codes {}",
    "codebook_usage": "share of the codes in use {}",
    "mig": "MIG {}",
    "factor_vae_score": "FactorVAE score {}",
    "dci_disentanglement": "DCI disentanglement {}",
}
JUDGE = re.compile(r" \(.*\)$")


def table(rows):
    """The Markdown table of rows of the CSV: a row for each preset."""
    titles = ("preset", "test examples", *COLUMNS, "published for the same setting")
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for preset, found in itertools.groupby(rows, key=lambda row: row["preset"]):
        figures = {JUDGE.sub(" *", row["name"]): row for row in found}
        columns = [
            joined(figures, names, "–" if title.startswith("Fréchet") else "") for title, names in COLUMNS.items()
        ]
        examples = f"{int(figures['elbo']['num_examples']):,}" if "elbo" in figures else ""
        lines.append("| " + " | ".join([f"`{preset}`", examples, *columns, published(figures)]) + " |")
    return "\n".join(lines)


def joined(figures, names, missing):
    """The figures of a column, with `missing` in the place of one that is not there while others are."""
    if not any(name in figures for name in names):
        return ""
    cells = [cell(figures[name]) if name in figures else missing for name in names]
    return "; ".join(text for text in cells if text)


def cell(row):
    """A figure as a text, with what the figure of another preset may differ in."""
    text = FURTHER.get(row["name"], "{}").format(figure(row).amount())
    return f"{text}, {row['about']}" if row["name"] == "log_prob" else text


def published(figures):
    """The published values of a preset's figures, with the column that each belongs to."""
    titles = {name: title for title, names in COLUMNS.items() for name in names}
    found = [
        f"{FURTHER.get(name, titles[name]).removesuffix(' {}')}: {row['published']}"
        for name, row in figures.items()
        if row["published"] and name in titles
    ]
    return "; ".join(found)


def figure(row):
    """A row of the CSV as `Figure`."""
    error = float(row["error"]) if row["error"] else None
    return Figure(name=row["name"], value=float(row["value"]), unit=row["unit"], error=error)


def replaced(text, new):
    """`text` with `new` between the marks."""
    start, end = (text.find(mark) for mark in MARKS)
    if start < 0 or end < start:
        raise ValueError(f"Expected README.md to have the marks {MARKS[0]} and {MARKS[1]}. Received: none, or one")
    return f"{text[: start + len(MARKS[0])]}\n{new}\n{text[end:]}"


def main(argv=None, root=ROOT):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare")
    args = parser.parse_args(argv)
    with open(root / "saved_models" / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    readme = root / "README.md"
    text = readme.read_text()
    new = replaced(text, table(rows))
    if args.check:
        return int(new != text)
    readme.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
