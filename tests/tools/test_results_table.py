"""The table of results in README.md."""

import importlib.util
import pathlib

import pytest

PATH = pathlib.Path(__file__).parents[2] / "tools" / "results_table.py"
HEADER = "preset,name,value,error,error_of,unit,split,num_examples,seed,seconds,about,published\n"
ROWS = (
    'tiny,log_prob,-81.234,0.31,examples,nats,test,10000,0,5.0,100 importance samples,"86.35 nats, one layer"\n'
    "tiny,ssim,0.9,0.1,examples,,test,10000,,5.0,,\n"
    "tiny,frechet_distance of test images (judge features),1.5,,examples,,test,500,0,5.0,,\n"
)
TABLE = """| preset | figure | value | measured on | published for the same setting |
|---|---|---|---|---|
| `tiny` | log p(x), importance-weighted bound | -81.23 ± 0.31 nats | 10,000 test examples, 100 importance samples | \
86.35 nats, one layer |
| `tiny` | Fréchet distance of test images (judge features) | 1.5 | 500 test examples |  |"""


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location("results_table", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_written_between_the_marks(tool, tmp_path):
    (tmp_path / "saved_models").mkdir()
    (tmp_path / "saved_models" / "results.csv").write_text(HEADER + ROWS)
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results -->\nold\n<!-- /results -->\nafter\n")
    assert tool.main(["--check"], tmp_path) == 1 and "old" in readme.read_text()
    assert tool.main([], tmp_path) == 0
    assert readme.read_text() == f"before\n<!-- results -->\n{TABLE}\n<!-- /results -->\nafter\n"
    assert tool.main(["--check"], tmp_path) == 0


@pytest.mark.parametrize("text", ["no marks", "<!-- results -->", "<!-- /results --> <!-- results -->"])
def test_missing_marks_are_named(tool, text):
    with pytest.raises(ValueError, match="Expected README.md to have the marks"):
        tool.replaced(text, "new")
