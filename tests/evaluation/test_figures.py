import pytest

from zoo.evaluation import Figure


@pytest.mark.parametrize(
    ("value", "error", "unit", "expected"),
    [
        (-83.1234, 0.251, "nats", "-83.12 ± 0.25 nats"),
        (0.0497, None, "", "0.0497"),
        (1234.5, 37.2, "nats", "1234 ± 37 nats"),
        (3.0, 0.0, "dB", "3 dB"),
        (3.0, float("nan"), "dB", "3 dB"),
        (0.000123456, 0.0000021, "", "0.0001235 ± 0.0000021"),
    ],
)
def test_amount(value, error, unit, expected):
    assert Figure(name="figure", value=value, error=error, unit=unit).amount() == expected


def test_a_line_names_the_examples():
    figure = Figure(name="elbo", value=-83.1234, unit="nats", error=0.251, split="test", num_examples=10000)
    assert str(figure) == "elbo -83.12 ± 0.25 nats (10000 test examples)"
    assert figure.as_dict()["seed"] is None
