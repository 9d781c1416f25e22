"""Compares the eager and the compiled results of the same step."""

from __future__ import annotations

from ebmcore.compile.functions import LossResult
from ebmcore.compile.graph import SAMPLES_DIFFER, nearly_equal
from ebmcore.contracts import Sample
from ebmcore.errors import GraphError

_GRADIENT = 1e-2  # largest difference of a gradient, relative to its norm


def check_samples(found: Sample | None, expected: Sample | None) -> None:
    """Raise GraphError when compiled and eager samples differ, or what they carry on."""
    if expected is None:
        return
    if found is None or not nearly_equal(found.x, expected.x):
        raise GraphError(SAMPLES_DIFFER)
    for name, value in expected.carried.items():
        if not nearly_equal(found.carried[name], value):
            raise GraphError(f"compiled and eager samples carry on another {name!r}")


def check_losses(found: LossResult, expected: LossResult) -> None:
    """Raise GraphError when compiled and eager metrics or gradients differ."""
    if found.metrics.keys() != expected.metrics.keys():
        raise GraphError("compiled and eager losses log different metrics")
    for name, value in expected.metrics.items():
        if not nearly_equal(found.metrics[name], value):
            got = float(found.metrics[name])
            raise GraphError(f"{name} is {got:.6g} compiled and {float(value):.6g} eager")
    for one, other in zip(found.gradients, expected.gradients, strict=True):
        if (one is None) != (other is None):
            raise GraphError("compiled and eager losses have gradients of different parameters")
        if one is None or other is None or not bool(other.isfinite().all()):
            continue
        if not bool((one - other).norm() <= _GRADIENT * other.norm() + 1e-5):
            raise GraphError("compiled and eager gradients differ")
