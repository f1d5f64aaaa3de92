"""Writes the table of results in README.md from saved_models/results.csv, between the two marks.

    python tools/results_table.py
    python tools/results_table.py --check

`python -m zoo evaluate PRESET --update-card` writes the CSV. With --check nothing is written, and the exit status is 1
if the table is out of date.
"""

import argparse
import csv
import pathlib
import sys

from zoo.evaluation.figures import Figure

ROOT = pathlib.Path(__file__).parents[1]
MARKS = ("<!-- results -->", "<!-- /results -->")
# The figures of the table by the beginning of their names, with the names that the table shows.
SHOWN = {
    "log_prob": "log p(x), importance-weighted bound",
    "elbo": "ELBO",
    "bits_per_dim": "bits per dim, from the ELBO",
    "mse_over_variance": "squared error over variance",
    "codebook_usage": "share of the codes in use",
    "code_cross_entropy": "cross entropy of the codes",
    "mig": "MIG",
    "factor_vae_score": "FactorVAE score",
    "dci_disentanglement": "DCI disentanglement",
    "frechet_distance": "Fréchet distance",
}


def table(rows):
    """The Markdown table of rows of the CSV."""
    lines = ["| preset | figure | value | measured on | published for the same setting |", "|---|---|---|---|---|"]
    for row in rows:
        label = shown(row["name"])
        if label is None:
            continue
        value = figure(row).amount()
        measured_on = f"{int(row['num_examples']):,} {row['split']} examples" if row["num_examples"] else row["split"]
        about = f", {row['about']}" if row["name"] == "log_prob" else ""
        lines.append(f"| `{row['preset']}` | {label} | {value} | {measured_on}{about} | {row['published']} |")
    return "\n".join(lines)


def shown(name):
    """The text of the table for a figure; None for a figure that the table leaves out."""
    if name in SHOWN:
        return SHOWN[name]
    base = name.partition(" ")[0]
    return SHOWN[base] + name.removeprefix(base) if base == "frechet_distance" else None


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
