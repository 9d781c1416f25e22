"""Whether two ways to take the same step come to the same, but for rounding."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ebmcore.compile.functions import Judged
from ebmcore.compile.graph import alike
from ebmcore.errors import GraphError

_GRADIENT = 1e-2  # share of a gradient's norm by which it may differ


def check_samples(found: Tensor | None, expected: Tensor | None) -> None:
    """Raise GraphError when chains ended elsewhere."""
    if expected is not None and (found is None or not alike(found, expected)):
        raise GraphError("its steps lead elsewhere in a graph: they depend on more than the state")


def check_judged(found: Judged, expected: Judged) -> None:
    """Raise GraphError when the metrics or the gradients are others."""
    if found.metrics.keys() != expected.metrics.keys():
        raise GraphError("its metrics are others in a graph")
    for name, value in expected.metrics.items():
        if not alike(found.metrics[name], value):
            got = float(found.metrics[name])
            raise GraphError(f"{name} is {got:.6g} in a graph, but {float(value):.6g} eagerly")
    for one, other in zip(found.gradients, expected.gradients, strict=True):
        if (one is None) != (other is None):
            raise GraphError("a gradient is missing in a graph, or there is one too many")
        if one is None or other is None or not bool(other.isfinite().all()):
            continue
        if not bool((one - other).norm() <= _GRADIENT * other.norm() + 1e-5):
            raise GraphError("its gradient is another one in a graph")


def same(found: Any, expected: Any) -> bool:
    """Whether two nested results agree."""
    if isinstance(expected, Tensor):
        return isinstance(found, Tensor) and alike(found, expected)
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[k], expected[k]) for k in found)
    if isinstance(expected, list | tuple):
        pairs = zip(found, expected, strict=True)
        return len(found) == len(expected) and all(same(a, b) for a, b in pairs)
    return bool(found == expected)
