"""Samples judged in the features of a small classifier of the data."""

from ebmcore_monitors.fidelity.monitor import Fidelity

__all__ = ["Fidelity"]
