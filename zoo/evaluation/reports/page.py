"""A report as one page of HTML, with its pictures in it."""

import base64
import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from zoo.evaluation.figures import Figure

if TYPE_CHECKING:
    from zoo.evaluation.reports.gallery import Picture

_TITLES = {
    "likelihood": ("Likelihood", "How probable the images are under the model. More nats, and fewer bits, are better."),
    "reconstruction": ("Reconstruction", "How close an image comes back from its latents."),
    "samples": (
        "Samples",
        "How close samples are to training images in the features of a network. A perfect model gets the distance "
        "“of test images”.",
    ),
    "representation": ("Representation", "How well simple classifiers tell the classes from the latents."),
    "criticism": (
        "Predictive checks",
        "Simple statistics of samples less those of images, in standard deviations over images; 0 where they agree.",
    ),
    "disentanglement": ("Disentanglement", "Whether single latents stand for single factors of the images; 1 at best."),
}

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: #1a202c;
  background: #fff; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0.5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.25rem; }
p { margin: 0.25rem 0 0.75rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 1rem; margin: 1rem 0; }
dt { color: #4a5568; } dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; border: 1px solid #cbd5e0; border-radius: 4px; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { padding: 0.35rem 0.6rem; text-align: left; vertical-align: top; border-bottom: 1px solid #e2e8f0; }
tbody tr:last-child > * { border-bottom: 0; }
th { font-weight: 600; } thead th { background: #f7fafc; color: #4a5568; }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums; } td.about { min-width: 14rem; }
tbody th { min-width: 9rem; }
figure { margin: 1.5rem 0; } figcaption { margin-bottom: 0.4rem; }
img { max-width: 100%; height: auto; display: block; }
ul { padding-left: 1.2rem; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: 0.4rem; } }
"""


def render(
    about: Mapping[str, str],
    groups: Mapping[str, Sequence[Figure]],
    left_out: Mapping[str, str],
    pictures: Sequence["Picture"],
) -> str:
    """The page of a report; the arguments are the fields of `Report`."""
    title = html.escape(about.get("name", about.get("model", "A model")))
    parts = [f"<h1>Evaluation of {title}</h1>", _facts(about)]
    parts += [_group(name, figures) for name, figures in groups.items() if figures]
    if left_out:
        items = "".join(f"<li>{html.escape(name)}: {html.escape(why)}.</li>" for name, why in left_out.items())
        parts.append(f"<section><h2>Left out</h2><ul>{items}</ul></section>")
    parts += [_figure(picture) for picture in pictures]
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Evaluation of {title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _facts(about):
    """The facts, without the name, which the title has."""
    rows = [(html.escape(name), html.escape(str(value))) for name, value in about.items() if name != "name"]
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{value}</dd>' for name, value in rows)}</dl>"


def _group(name, figures):
    title, text = _TITLES.get(name, (name, ""))
    rows = "\n".join(map(_row, figures))
    head = "".join(f'<th scope="col">{each}</th>' for each in ("figure", "value", "examples", "seed", "seconds", "how"))
    return (
        f'<section>\n<h2>{title}</h2>\n<p>{text}</p>\n<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{title}"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>\n'
        "</section>"
    )


def _row(figure):
    error = f" (± over {figure.error_of})" if figure.error is not None and figure.error_of != "examples" else ""
    cells = [
        ("number", figure.amount() + error),
        ("number", f"{figure.num_examples:,} {figure.split}"),
        ("number", "" if figure.seed is None else str(figure.seed)),
        ("number", f"{figure.seconds:.1f}"),
        ("about", figure.about),
    ]
    inside = "".join(f'<td class="{kind}">{html.escape(text)}</td>' for kind, text in cells)
    return f'<tr><th scope="row">{html.escape(figure.name)}</th>{inside}</tr>'


def _figure(picture):
    width, height = picture.size
    source = base64.b64encode(picture.png).decode("ascii")
    caption = html.escape(picture.caption)
    return (
        f'<figure id="{html.escape(picture.name)}">\n<figcaption>{caption}</figcaption>\n'
        f'<img src="data:image/png;base64,{source}" width="{width}" height="{height}" alt="{caption}">\n</figure>'
    )
