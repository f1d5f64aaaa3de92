"""The table of results in README.md."""

import importlib.util
import pathlib

import pytest

PATH = pathlib.Path(__file__).parents[2] / "tools" / "results_table.py"
HEADER = "preset,name,value,error,error_of,unit,split,num_examples,seed,seconds,about,published\n"
ROWS = (
    "tiny,elbo,-83.5,0.3,examples,nats,test,10000,0,5.0,,\n"
    'tiny,log_prob,-81.234,0.31,examples,nats,test,10000,0,5.0,100 importance samples,"-86.35 nats, one layer"\n'
    "tiny,ssim,0.9,0.1,examples,,test,10000,,5.0,,0.8\n"
    "tiny,frechet_distance (judge features),3.25,0.5,examples,,sampled,500,0,5.0,,\n"
    "tiny,frechet_distance of test images (judge features),1.5,,examples,,test,500,0,5.0,,\n"
    "vq,codebook_usage,0.5,,examples,,test,20,0,5.0,,\n"
    'vq,code_cross_entropy,0.977,0.0057,examples,nats per code,test,20,0,5.0,,"1.034, PixelCNN"\n'
)
TABLE = """| preset | test examples | ELBO | log p(x) | bits per dim | squared error over variance | \
Fréchet distance of samples; reconstructions; test images | further | published for the same setting |
|---|---|---|---|---|---|---|---|---|
| `tiny` | 10,000 | -83.50 ± 0.30 nats | -81.23 ± 0.31 nats, 100 importance samples |  |  | 3.25 ± 0.50; –; 1.5 |  | \
log p(x): -86.35 nats, one layer |
| `vq` |  |  |  |  |  |  | cross entropy of the codes 0.9770 ± 0.0057 nats per code; share of the codes in use 0.5 | \
cross entropy of the codes: 1.034, PixelCNN |"""


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
