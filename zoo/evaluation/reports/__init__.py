"""All figures of a model and its pictures, as text, as JSON and as a page."""

from zoo.evaluation.reports.report import METRICS, Report, evaluate
from zoo.evaluation.reports.task import Part

__all__ = ["METRICS", "Part", "Report", "evaluate"]
