"""Hooks of mkdocs.yml: the pages of benchmarks/ join those of docs/ on the site, as docs/ link to them.

On the site docs/ is the root and benchmarks/ a folder in it. Links between the two, which are written for the
repository, are changed to fit.
"""

import pathlib

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[1]


def on_files(files, config):
    for path in sorted((ROOT / "benchmarks").glob("*.md")):
        name = path.relative_to(ROOT).as_posix()
        files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown, page, config, files):
    if page.file.src_uri.startswith("benchmarks/"):
        return markdown.replace("](../docs/", "](../")
    return markdown.replace("](../benchmarks/", "](benchmarks/")
