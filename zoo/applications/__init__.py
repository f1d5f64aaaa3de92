"""Applications of VAEs: functions that work with any model."""

from zoo.applications.interpolation import interpolate

__all__ = ["interpolate"]
