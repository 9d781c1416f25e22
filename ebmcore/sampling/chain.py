"""`sample_chain`: a batch of chains on an energy, without a run."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from torch import Generator, Tensor

from ebmcore.contracts import Energy, Trace
from ebmcore.sampling.energy_checks import module_of
from ebmcore.sampling.function_kernel import as_kernel
from ebmcore.sampling.walk import Walk
from ebmcore.spaces import Categorical, Real, Space

if TYPE_CHECKING:
    from ebmcore.compile.chains import CompiledKernel


@overload
def sample_chain(
    kernel: Any,
    energy: Energy,
    x: Tensor | None = None,
    *,
    event_shape: Sequence[int] | None = None,
    space: Space | None = None,
    n_chains: int = 1,
    n_steps: int = 1000,
    burn_in: int = 0,
    thin: int = 1,
    generator: Generator | None = None,
    trace: Literal[False] = False,
    compile: bool | Literal["auto"] = "auto",
) -> Tensor: ...


@overload
def sample_chain(
    kernel: Any,
    energy: Energy,
    x: Tensor | None = None,
    *,
    event_shape: Sequence[int] | None = None,
    space: Space | None = None,
    n_chains: int = 1,
    n_steps: int = 1000,
    burn_in: int = 0,
    thin: int = 1,
    generator: Generator | None = None,
    trace: Literal[True],
    compile: bool | Literal["auto"] = "auto",
) -> tuple[Tensor, Trace]: ...


def sample_chain(
    kernel: Any,
    energy: Energy,
    x: Tensor | None = None,
    *,
    event_shape: Sequence[int] | None = None,
    space: Space | None = None,
    n_chains: int = 1,
    n_steps: int = 1000,
    burn_in: int = 0,
    thin: int = 1,
    generator: Generator | None = None,
    trace: bool = False,
    compile: bool | Literal["auto"] = "auto",  # noqa: A002 (torch's own word for it)
) -> Tensor | tuple[Tensor, Trace]:
    """Run a batch of chains on an energy, without a runner, a config or a plugin host.

    Args:
        kernel: A `Kernel`, or a function `(energy, x, generator) -> x`.
        energy: Any callable, (chains, *event) -> (chains,).
        x: Start points of the chains, (chains, *event); by default drawn from the space.
        event_shape: The shape of one event; only without x.
        space: The set that events live in, such as `ebmcore.Binary()`; by default real numbers,
            from which start points are standard normal noise.
        n_chains: Number of chains; only without x.
        n_steps: Steps after the burn-in.
        burn_in: Steps before the first kept one.
        thin: A trace keeps every thin-th of the n_steps.
        generator: The only source of randomness; by default torch's global one.
        trace: Whether to return `(x, Trace)` rather than the end points x alone.
        compile: Whether to compile the steps, 20 to a graph, which takes seconds and makes each
            faster; `auto` compiles chains of 100,000 steps and more. The draws are the same, and
            so is the result but for rounding. With true, a kernel that can't be compiled warns
            and runs eagerly.

    Shapes: -> (chains, *event), on the device of x, or else of the energy's parameters. Without a
    trace the memory does not grow with n_steps. Raises ValueError when a count is out of range, x
    and event_shape are both missing, the kernel doesn't serve the space or x isn't in it, or the
    energy doesn't return one value per chain.
    """
    for name, count, least in (("n_chains", n_chains, 1), ("n_steps", n_steps, 1),
                               ("burn_in", burn_in, 0), ("thin", thin, 1)):  # fmt: skip
        if count < least:
            raise ValueError(f"{name} should be at least {least}; got {count}")
    if trace and thin > n_steps:
        raise ValueError(f"thin should be at most n_steps, {n_steps}, for a trace; got {thin}")
    kernel = as_kernel(kernel)
    if x is None:
        if event_shape is None:
            raise ValueError("give start points, x, or the shape of one event, event_shape")
        x = _noise(energy, (n_chains, *event_shape), space or Real(), generator)
    _refuse_misfit(kernel, x, space)
    compiled = _compiled(kernel, energy, x, compile, burn_in + n_steps, trace)
    walk = Walk(kernel, energy, x, generator, compiled, n_steps=burn_in + n_steps)
    if burn_in:
        walk.go(burn_in)
    if not trace:
        end, states = walk.go(n_steps).x, None
    else:
        states = walk.trace(n_steps, thin)
        end = walk.x
    if compile is True and (compiled is None or compiled.why):
        why = "it runs its steps in its own `sample`" if compiled is None else compiled.why
        warnings.warn(f"the sampler was not compiled: {why}", RuntimeWarning, stacklevel=2)
    return end if states is None else (end, states)


def _compiled(
    kernel: Any,
    energy: Energy,
    x: Tensor,
    compile: bool | Literal["auto"],  # noqa: A002 (torch's own word for it)
    n_steps: int,
    trace: bool,
) -> CompiledKernel | None:
    if compile is False or hasattr(kernel, "sample"):
        return None
    from ebmcore.compile.chains import compiled_kernel, compiling_pays

    if compile == "auto" and not compiling_pays(kernel, n_steps):
        return None
    return compiled_kernel(kernel, energy, every=trace, device=x.device)


def _refuse_misfit(kernel: Any, x: Tensor, space: Space | None) -> None:
    """Raise ValueError when a kernel doesn't serve the space, or x isn't in it."""
    spaces = getattr(kernel, "spaces", (Real,))
    if space is not None and not isinstance(space, spaces):
        there = " and ".join(cls.kind for cls in spaces)
        raise ValueError(f"the sampler moves in {there} events, and the space is {space}")
    if not x.is_floating_point() and not issubclass(Categorical, spaces):
        raise ValueError(f"x should hold floating-point numbers; got {x.dtype}")
    if space is not None:
        space.check(x)


def _noise(
    energy: Energy, shape: tuple[int, ...], space: Space, generator: Generator | None
) -> Tensor:
    module = module_of(energy)
    parameter = None if module is None else next(module.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    dtype = None if parameter is None else parameter.dtype
    return space.sample(shape, generator, device, dtype)
