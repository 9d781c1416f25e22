"""Langevin samplers for ebmcore."""

from ebmcore_langevin.kernels import Langevin, LangevinInfo, LangevinState

__all__ = ["Langevin", "LangevinInfo", "LangevinState"]
