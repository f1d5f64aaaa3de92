"""The page of `explore` in a folder with a TFLite file and LiteRT.js, where its sliders decode in the browser."""

import json
import pathlib
import shutil

from zoo.runtime import checks, files
from zoo.runtime.types import PathLike

PACKAGES = ("@litertjs/core", "@litertjs/wasm-utils")
INSTALL = "npm install @litertjs/core@2.5.3"
_PARTS = ("@litertjs/core/dist/index.js", "@litertjs/wasm-utils/dist/index.js", "@litertjs/core/wasm")


def site(folder: PathLike, page: PathLike, model: PathLike, node_modules: PathLike) -> pathlib.Path:
    """Puts a page, a model and LiteRT.js into a folder that any web server can serve, about 40 megabytes.

    Args:
        folder: path of a new or empty folder.
        page: path of the .html file that `explore` wrote.
        model: path of the .tflite file that `model.export` wrote.
        node_modules: path of the folder that `npm install @litertjs/core` made.

    Returns:
        the path of the folder: `index.html`, `model.tflite` and `litert`.

    Raises:
        ValueError: for files of another kind, or a folder without LiteRT.js.
    """
    folder, page, model, modules = map(pathlib.Path, (folder, page, model, node_modules))
    text = page.read_text(encoding="utf-8")
    if "<title>" not in text or 'id="data"' not in text:
        checks.fail("page", "a page of zoo.applications.explore", str(page))
    if model.read_bytes()[4:8] != b"TFL3":
        checks.fail("model", "a .tflite file", str(model))
    if not all((modules / part).exists() for part in _PARTS):
        checks.fail("node_modules", f"a folder with LiteRT.js. Run: {INSTALL}", str(modules))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        checks.fail("folder", "a new or an empty folder", str(folder))
    head = _script("importmap", json.dumps({"imports": {name: f"./litert/{name}/dist/index.js" for name in PACKAGES}}))
    live = {"model": "model.tflite", "litert": "litert/@litertjs/core/wasm/"}
    head += _script("", f"globalThis.ZOO_LIVE = {json.dumps(live)}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(folder) as scratch:
        for part in _PARTS:
            target = scratch / "litert" / part
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (modules / part).is_dir() else shutil.copyfile
            copy(modules / part, target)
        shutil.copyfile(model, scratch / "model.tflite")
        (scratch / "index.html").write_text(text.replace("<title>", f"{head}    <title>", 1), encoding="utf-8")
    return folder


def _script(kind, content):
    kind = f' type="{kind}"' if kind else ""
    return f"<script{kind}>{content}</script>\n"
