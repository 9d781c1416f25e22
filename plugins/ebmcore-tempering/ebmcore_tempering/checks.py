"""The kernels that parallel tempering can't run."""

from __future__ import annotations

from typing import Any

from ebmcore import StepSize
from ebmcore.sampling import named_slots


def refuse_unfit(kernel: Any) -> None:
    """Raise ValueError that says why a kernel can't move replicas at several temperatures."""
    name = type(kernel).__name__
    why = ""
    if not all(hasattr(kernel, method) for method in ("init", "noise", "step")):
        why = f"{name} has no init, noise and step, which parallel_tempering runs one by one"
    elif isinstance(getattr(kernel, "step_size", None), StepSize):
        why = "no run fits a step_size at several temperatures; give a number"
    elif reason := getattr(kernel, "unknown_law", ""):
        why = f"swaps need the law of {name}, which isn't known: {reason}"
    elif getattr(kernel, "implied_temperature", None) not in (None, 1.0):
        why = (
            f"the kernel's temperature should be 1, since temperatures sets it; {name} has "
            f"{kernel.implied_temperature}"
        )
    elif named_slots(type(kernel), "init", ("generator",)) and not getattr(kernel, "carries", ()):
        why = f"{name} draws in `init`, which is called at each step, but carries nothing of it"
    if why:
        raise ValueError(why)
