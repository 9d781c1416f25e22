"""Kernels and chains that are made of one function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Generator, Tensor

from ebmcore.contracts import CHAINS_SLOTS, KERNEL_SLOTS, Chains, Energy, Start
from ebmcore.sampling.slots import named_slots, refuse_unknown_slots


class StepFunction:
    """A sampler made of one function `(energy, x, generator) -> x`, one step of its kernel.

    A callable object may keep state, with `state_dict` and `load_state_dict`.
    """

    def __init__(self, step: Callable[..., Tensor]) -> None:
        self.step = step
        self.implied_temperature = getattr(step, "implied_temperature", None)
        self.unknown_law = getattr(step, "unknown_law", "")
        if hasattr(step, "spaces"):
            self.spaces = step.spaces

    def sample(
        self, energy: Energy, x: Tensor, n_steps: int, generator: Generator | None
    ) -> Tensor:
        """Call the function n_steps times."""
        for _ in range(n_steps):
            x = self.step(energy, x, generator).detach()
        return x

    def state_dict(self) -> dict[str, Any]:
        """Return the function's state."""
        return _state_of(self.step)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the function's state."""
        _load_state(self.step, state)


class StartFunction(Chains):
    """Chains made of one function `(x, generator) -> x_start`; no chain is kept.

    A callable object may keep state, with `state_dict` and `load_state_dict`.
    """

    def __init__(self, function: Callable[..., Tensor | Start]) -> None:
        self.function = function

    def start(self, x: Tensor, generator: Generator | None) -> Tensor | Start:
        """Call the function."""
        return self.function(x, generator)

    def state_dict(self) -> dict[str, Any]:
        """Return the function's state."""
        return _state_of(self.function)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the function's state."""
        _load_state(self.function, state)


def _state_of(function: Any) -> dict[str, Any]:
    return dict(function.state_dict()) if hasattr(function, "state_dict") else {}


def _load_state(function: Any, state: Mapping[str, Any]) -> None:
    if hasattr(function, "load_state_dict"):
        function.load_state_dict(state)


def as_chains(chains: Any) -> Chains:
    """Return `Chains` unchanged and wrap a function in StartFunction.

    Raises TypeError for any other object.
    """
    if isinstance(chains, Chains):
        refuse_unknown_slots(chains, "start", CHAINS_SLOTS)
        return chains
    if callable(chains) and not isinstance(chains, type) and not hasattr(chains, "start"):
        return StartFunction(chains)
    raise TypeError(
        f"chains should be an ebmcore.Chains or a function (x, generator); got {chains!r}"
    )


def _refuse_lost_fields(kernel: Any) -> None:
    fields = getattr(kernel, "carries", ())
    if isinstance(fields, str):
        raise TypeError(f"{type(kernel).__name__}.carries should be a tuple; got {fields!r}")
    if fields and not named_slots(type(kernel), "init", ("carried",)):
        raise TypeError(
            f"{type(kernel).__name__} carries {', '.join(fields)}, but its `init` doesn't take "
            "them back: name the parameter `carried`"
        )


def as_kernel(sampler: Any) -> Any:
    """Return a kernel unchanged and wrap a function in StepFunction.

    Raises TypeError for any other object, and for a kernel that asks for unknown slots or carries
    a field that it doesn't take back.
    """
    if hasattr(sampler, "sample"):
        return sampler
    if all(hasattr(sampler, name) for name in ("init", "noise", "step")):
        refuse_unknown_slots(sampler, "init", KERNEL_SLOTS)
        _refuse_lost_fields(sampler)
        return sampler
    if callable(sampler) and not isinstance(sampler, type):
        return StepFunction(sampler)
    raise TypeError(
        "a sampler is a Kernel, an object with `sample`, or a function (energy, x, generator); "
        f"got {sampler!r}"
    )
