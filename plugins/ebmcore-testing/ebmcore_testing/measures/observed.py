"""Side effects that a component must not have, and states: which are plain, which the same."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ebmcore_testing.failures import CheckFailed, require


def seeded(seed: int) -> Generator:
    """Return a generator of one's own."""
    return torch.Generator().manual_seed(seed)


@contextmanager
def streams_untouched(check: str) -> Iterator[None]:
    """Raise CheckFailed when the global streams of torch, numpy or Python moved on meanwhile.

    Whatever happens, they are afterwards as they were.
    """
    before = _streams()
    try:
        yield
        after = _streams()
    finally:
        torch.set_rng_state(before["torch"])
        np.random.set_state(before["numpy"])
        random.setstate(before["Python's random"])
    moved = [name for name in before if not _same(before[name], after[name])]
    if moved:
        raise CheckFailed(
            check,
            expected="the global random streams stay where they are",
            measured=f"the stream of {', '.join(moved)} moved on",
            allowed="no draw from a global stream",
            cause="torch.randn, rand or randint without generator=generator, or a manual_seed: "
            "then switching a part on changes every other part's numbers",
        )


def _streams() -> dict[str, Any]:
    return {
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state(),
        "Python's random": random.getstate(),
    }


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b))
    if isinstance(a, tuple):
        return all(map(_same, a, b))
    return bool(a == b)


@contextmanager
def module_untouched(check: str, module: nn.Module, cause: str) -> Iterator[None]:
    """Raise CheckFailed when a module's values, gradients, modes or trained parameters changed."""
    before = _facts(module)
    yield
    after = _facts(module)
    changed = [name for name, value in before.items() if not _equal(value, after.get(name))]
    if changed or len(after) != len(before):
        raise CheckFailed(
            check,
            expected="the energy is left as it was",
            measured=f"changed: {', '.join(changed) or 'its set of parameters'}",
            allowed="no change of a value, a gradient, requires_grad or train/eval mode",
            cause=cause,
        )


def _facts(module: nn.Module) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, child in module.named_modules():
        facts[f"the mode of {name or 'the energy'}"] = child.training
    for name, value in module.state_dict().items():
        facts[f"the value of {name}"] = value.clone() if isinstance(value, Tensor) else value
    for name, parameter in module.named_parameters():
        facts[f"requires_grad of {name}"] = parameter.requires_grad
        gradient = parameter.grad
        facts[f"the gradient of {name}"] = None if gradient is None else gradient.clone()
    return facts


@contextmanager
def tensors_untouched(check: str, tensors: Mapping[str, Tensor | None]) -> Iterator[None]:
    """Raise CheckFailed when one of the tensors was written to, or asks for a gradient now."""
    there = {name: value for name, value in tensors.items() if value is not None}
    before = {name: (t.detach().clone(), t.requires_grad) for name, t in there.items()}
    yield
    written = [n for n, t in there.items() if not same_bits(t.detach(), before[n][0])]
    asking = [n for n, t in there.items() if t.requires_grad != before[n][1] or _has_gradient(t)]
    if written or asking:
        what = [f"{n} was written to" for n in written]
        what += [f"{n} gathers gradients now" for n in asking]
        raise CheckFailed(
            check,
            expected="the caller's tensors are left as they were",
            measured=", ".join(what),
            allowed="no change by a single bit, and the same requires_grad",
            cause="an in-place operation (x += …, x.clamp_(), x.requires_grad_()) on a tensor that "
            "was handed over: work on x.clone() or x.detach().requires_grad_()",
        )


def same_bits(a: Any, b: Any) -> bool:
    """Tell whether two values are the same, NaN for NaN."""
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return type(a) is type(b) and bool(a == b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return torch.equal(a, b) or bool(((a == b) | ((a != a) & (b != b))).all())


def _has_gradient(tensor: Tensor) -> bool:
    return tensor.is_leaf and tensor.grad is not None


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and torch.equal(a, b)
    return type(a) is type(b) and bool(a == b)


def same_state(a: Any, b: Any) -> bool:
    """Tell whether two states are the same at any depth, NaN for NaN."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same_state(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same_state, a, b))
    return same_bits(a, b) or (not isinstance(a, Tensor) and bool(a != a and b != b))


def require_plain(
    check: str, state: Mapping[Any, Any], keys: type | tuple[type, ...] = str
) -> None:
    """Raise CheckFailed unless a state is of tensors and JSON types, its inner keys of `keys`."""
    strange = [name for name, value in state.items() if not _is_plain(value, keys)]
    require(
        not strange,
        check,
        expected="a state of tensors and JSON types",
        measured=f"{', '.join(map(str, strange))}: something else",
        allowed="Tensor, str, int, float, bool, None, and lists and mappings of them",
        cause="an object that only pickle could keep",
    )


def _is_plain(value: Any, keys: type | tuple[type, ...]) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(k, keys) and _is_plain(v, keys) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(item, keys) for item in value)
    return value is None or isinstance(value, (Tensor, str, int, float, bool))
