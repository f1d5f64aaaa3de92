"""Perplexity and usage, over all codes that were seen."""

import numpy as np
import pytest

from zoo.quantizers.metrics import CodebookUsage, Perplexity


def test_perplexity_is_the_number_of_codes_where_all_are_alike_often():
    metric = Perplexity(8)
    metric.update_state(np.repeat(np.arange(8), 5).reshape(2, 4, 5).astype("int32"))
    np.testing.assert_allclose(metric.result(), 8.0, rtol=1e-5)


def test_perplexity_is_one_where_one_code_does_it_all():
    metric = Perplexity(8)
    metric.update_state(np.full((2, 3, 3), 5, "int32"))
    np.testing.assert_allclose(metric.result(), 1.0, rtol=1e-6)


def test_perplexity_by_hand():
    metric = Perplexity(4)
    metric.update_state(np.array([0, 0, 1, 3], "int32"))  # shares ½, ¼, ¼: H = 1.5 ln 2
    np.testing.assert_allclose(metric.result(), 2**1.5, rtol=1e-5)


def test_both_count_over_all_updates_until_they_are_reset():
    perplexity, usage = Perplexity(4), CodebookUsage(4)
    for codes in ([0, 0], [1, 2]):
        for metric in (perplexity, usage):
            metric.update_state(np.array([codes], "int32"))
    # Shares ½, ¼, ¼, 0; the mean of the two batches' own values would be 1.5 and ⅜.
    np.testing.assert_allclose(perplexity.result(), 2**1.5, rtol=1e-5)
    np.testing.assert_allclose(usage.result(), 0.75)
    for metric in (perplexity, usage):
        metric.reset_state()
        metric.update_state(np.array([[3]], "int32"))
    np.testing.assert_allclose(perplexity.result(), 1.0, rtol=1e-6)
    np.testing.assert_allclose(usage.result(), 0.25)


def test_a_code_counts_with_the_weight_of_its_example():
    perplexity, usage = Perplexity(4), CodebookUsage(4)
    for metric in (perplexity, usage):
        metric.update_state(np.array([[0, 0], [1, 3], [2, 2]], "int32"), np.float32([1, 2, 0]))
    np.testing.assert_allclose(perplexity.result(), 3.0, rtol=1e-5)  # 2, 2, 0, 2
    np.testing.assert_allclose(usage.result(), 0.75)


@pytest.mark.parametrize(("codes", "share"), [([[2]], 0.2), ([[0, 4], [4, 4]], 0.4), ([[0, 1, 2, 3, 4]], 1.0)])
def test_usage_is_the_share_of_codes_that_occurred(codes, share):
    metric = CodebookUsage(5)
    metric.update_state(np.array(codes, "int32"))
    np.testing.assert_allclose(metric.result(), share)


@pytest.mark.parametrize("metric", [Perplexity, CodebookUsage])
def test_before_any_code_the_result_is_a_number(metric):
    assert np.isfinite(float(metric(4).result()))
