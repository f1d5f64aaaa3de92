"""Faults of a trained model: the measurements that show them, and the rules that conclude from these."""

from zoo.evaluation.diagnosis.diagnosis import diagnose
from zoo.evaluation.diagnosis.findings import FAULTS, Finding

__all__ = ["FAULTS", "Finding", "diagnose"]
