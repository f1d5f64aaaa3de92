"""What people use VAEs for: each a few functions over any model."""

from zoo.applications.interpolation import interpolate

__all__ = ["interpolate"]
