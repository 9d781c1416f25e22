"""Run a Markov kernel; the energy stays as it was, and nothing writes to the caller's x."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import torch
from torch import Generator, Tensor, nn

from ebmcore.contracts import Chains, Kernel, Sample, Trace

if TYPE_CHECKING:
    from ebmcore.compile.chains import Blocks
    from ebmcore.contracts import Energy


class Sampler(NamedTuple):
    """A kernel run for `n_steps`; a loss that names `sampler` gets it."""

    kernel: Any  # a Kernel, or an object with `sample(energy, x, n_steps, generator)`
    n_steps: int = 10

    def __call__(self, energy: Energy, x: Tensor, generator: Generator | None) -> Sample:
        """Move the chains on from x, (chains, *event); no gradient flows through the result."""
        return run_kernel(self.kernel, energy, x, self.n_steps, generator)


class StepFunction:
    """A sampler made of one function `(energy, x, generator) -> x`, one step of its kernel.

    A callable object may remember something, by `state_dict` and `load_state_dict`.
    """

    def __init__(self, step: Callable[..., Tensor]) -> None:
        self.step = step
        self.implied_temperature = getattr(step, "implied_temperature", None)

    def sample(
        self, energy: Energy, x: Tensor, n_steps: int, generator: Generator | None
    ) -> Tensor:
        """Call the function n_steps times."""
        for _ in range(n_steps):
            x = self.step(energy, x, generator).detach()
        return x

    def state_dict(self) -> dict[str, Any]:
        """Return what the function remembers."""
        return _state_of(self.step)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give the function back what it remembered."""
        _give_back(self.step, state)


class StartFunction(Chains):
    """Chains made of one function `(x, generator) -> x_start`; no chain is kept.

    A callable object may remember something, by `state_dict` and `load_state_dict`.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function

    def start(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Call the function."""
        return self.function(x, generator)

    def state_dict(self) -> dict[str, Any]:
        """Return what the function remembers."""
        return _state_of(self.function)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give the function back what it remembered."""
        _give_back(self.function, state)


def _state_of(function: Any) -> dict[str, Any]:
    return dict(function.state_dict()) if hasattr(function, "state_dict") else {}


def _give_back(function: Any, state: Mapping[str, Any]) -> None:
    if hasattr(function, "load_state_dict"):
        function.load_state_dict(state)


def as_chains(chains: Any) -> Chains:
    """Return chains as they are, a plain function as chains that forget.

    Raises TypeError when it is neither.
    """
    if isinstance(chains, Chains):
        return chains
    if callable(chains) and not isinstance(chains, type) and not hasattr(chains, "start"):
        return StartFunction(chains)
    raise TypeError(
        f"chains should be an ebmcore.Chains or a function (x, generator); got {chains!r}"
    )


def as_kernel(sampler: Any) -> Any:
    """Return a kernel: a kernel as it is, a plain function as one step of a kernel.

    Raises TypeError when it is neither.
    """
    if isinstance(sampler, Kernel) or hasattr(sampler, "sample"):
        return sampler
    if all(hasattr(sampler, name) for name in ("init", "noise", "step")):
        return sampler
    if callable(sampler) and not isinstance(sampler, type):
        return StepFunction(sampler)
    raise TypeError(
        "a sampler is a Kernel, an object with `sample`, or a function (energy, x, generator); "
        f"got {sampler!r}"
    )


class Differentiable:
    """An energy to sample through: kernels that use `energy_and_score` keep their steps' graph.

    A loss that needs the gradient of chains' end points with respect to the energy's parameters
    runs `kernel.step(Differentiable(energy), state, noise)`; nothing else changes.
    """

    keeps_graph = True

    def __init__(self, energy: Energy) -> None:
        self.energy = energy

    def __call__(self, x: Tensor) -> Tensor:
        """Return E(x)."""
        return self.energy(x)


def energy_and_score(energy: Energy, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return E(x) and the score -∇E(x), with one gradient, w.r.t. x alone.

    Shapes: x (chains, *event) -> (chains,) in nats, (chains, *event). Neither carries a graph, and
    the energy's parameters get no gradient, unless the energy is a `Differentiable` one. Raises
    ValueError when the energy doesn't return one value per chain.
    """
    if getattr(energy, "keeps_graph", False):
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            values = energy(x)
            check_energies(values, x)
            (gradient,) = torch.autograd.grad(values.sum(), x, create_graph=True)
        return values, -gradient
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        values = energy(x)
        check_energies(values, x)
        (gradient,) = torch.autograd.grad(values.sum(), x)
    return values.detach(), -gradient


def check_energies(values: Tensor, x: Tensor) -> None:
    """Raise ValueError when an energy's values aren't one for each of x."""
    if values.shape != x.shape[:1]:
        raise ValueError(
            f"energy must return one value per chain, shape {tuple(x.shape[:1])}; "
            f"got {tuple(values.shape)}. Sum over the event's dimensions first."
        )


@contextmanager
def evaluating(energy: Energy) -> Iterator[None]:
    """Put an energy's modules in evaluation mode, and each back into its own mode afterwards.

    Disables cuDNN meanwhile, whose recurrent layers have a backward in training mode alone.
    """
    modules = list(energy.modules()) if isinstance(energy, nn.Module) else []
    modes = [module.training for module in modules]
    recurrent = any(isinstance(module, nn.RNNBase) for module in modules)
    for module in modules:
        module.training = False
    try:
        with torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext():
            yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


class Walk:
    """Chains on their way: they keep the kernel's state from block to block."""

    def __init__(
        self,
        kernel: Any,
        energy: Energy,
        x: Tensor,
        generator: Generator | None,
        blocks: Blocks | None = None,
    ) -> None:
        self.kernel = kernel
        self.energy = energy
        self.generator = generator
        self.x = x.detach()
        self.blocks = blocks
        self.whole = hasattr(kernel, "sample")  # it keeps its own state, if it has any
        if not self.whole:
            with evaluating(energy):
                self.state = kernel.init(energy, self.x)

    def go(self, n_steps: int) -> Sample:
        """Take n_steps; the info is the last step's."""
        with evaluating(self.energy):
            end, info = self._whole(n_steps) if self.whole else self._steps(n_steps)
        if end.shape != self.x.shape:
            shapes = f"{tuple(self.x.shape)} into {tuple(end.shape)}"
            raise ValueError(f"the sampler turned chains of {shapes}")
        self.x = end.detach()
        return Sample(self.x, info)

    def trace(self, n_steps: int, thin: int) -> Trace:
        """Take n_steps and keep every thin-th state, n_steps // thin in all."""
        if self.blocks is not None:
            return self._trace_blocks(n_steps, thin, self.blocks)
        kept = [self.go(thin) for _ in range(n_steps // thin)]
        if n_steps % thin:
            self.go(n_steps % thin)
        infos = [sample.info for sample in kept]
        return Trace(torch.stack([sample.x for sample in kept]), _stack(infos))

    def _whole(self, n_steps: int) -> tuple[Tensor, Any]:
        result = self.kernel.sample(self.energy, self.x.clone(), n_steps, self.generator)
        return (result[0], result[1]) if isinstance(result, tuple) else (result, None)

    def _steps(self, n_steps: int) -> tuple[Tensor, Any]:
        info = None
        if self.blocks is not None:
            for state, seen in self.blocks.steps(self.state, n_steps, self.generator):
                self.state, info = state, seen[-1][1]
            return self.state.x, info
        for _ in range(n_steps):
            noise = self.kernel.noise(self.state.x, self.generator)
            self.state, info = self.kernel.step(self.energy, self.state, noise)
        return self.state.x, info

    def _trace_blocks(self, n_steps: int, thin: int, blocks: Blocks) -> Trace:
        kept: list[tuple[Tensor, Any]] = []
        step = 0
        with evaluating(self.energy):
            for state, seen in blocks.steps(self.state, n_steps, self.generator):
                self.state = state
                steps = enumerate(seen, start=step + 1)
                kept.extend(one for number, one in steps if number % thin == 0)
                step += len(seen)
        self.x = self.state.x.detach()
        xs, infos = zip(*kept, strict=True)
        return Trace(torch.stack([x.detach() for x in xs]), _stack(list(infos)))


def run_kernel(
    kernel: Any, energy: Energy, x: Tensor, n_steps: int, generator: Generator | None
) -> Sample:
    """Move chains on by n_steps; the info is the last step's."""
    return Walk(kernel, energy, x, generator).go(n_steps)


@overload
def sample_chain(
    kernel: Any,
    energy: Energy,
    x: Tensor | None = None,
    *,
    event_shape: Sequence[int] | None = None,
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
    n_chains: int = 1,
    n_steps: int = 1000,
    burn_in: int = 0,
    thin: int = 1,
    generator: Generator | None = None,
    trace: bool = False,
    compile: bool | Literal["auto"] = "auto",  # noqa: A002 (torch's own word for it)
) -> Tensor | tuple[Tensor, Trace]:
    """Run a batch of chains on an energy; needs no runner, no config and no plugin host.

    Args:
        kernel: A `Kernel`, or a function `(energy, x, generator) -> x`.
        energy: Any callable, (chains, *event) -> (chains,).
        x: Starting points, (chains, *event); by default standard normal noise.
        event_shape: The shape of one event; only without x.
        n_chains: Number of chains; only without x.
        n_steps: Steps after the burn-in.
        burn_in: Steps before the first kept one.
        thin: A trace keeps every thin-th of the n_steps.
        generator: The only source of randomness; by default torch's global one.
        trace: Whether to return `(x, Trace)` rather than the end points x alone.
        compile: Whether the steps are compiled, ten to a graph, which takes seconds and makes each
            quicker; `auto` compiles chains of 100,000 steps and more. The draws are the same, and
            the result is but for rounding. With true, what can't be compiled warns, and is taken
            step by step.

    Shapes: -> (chains, *event), on the device of x, or else of the energy's parameters. Without a
    trace the memory does not grow with n_steps. Raises ValueError when a count is out of range, x
    and event_shape are both missing, or the energy doesn't return one value per chain.
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
            raise ValueError("say where the chains begin (x) or what shape an event has")
        x = _noise(energy, (n_chains, *event_shape), generator)
    if not x.is_floating_point():
        raise ValueError(f"x should hold floating-point numbers; got {x.dtype}")
    blocks = _blocks(kernel, energy, x, compile, burn_in + n_steps, trace)
    walk = Walk(kernel, energy, x, generator, blocks)
    if burn_in:
        walk.go(burn_in)
    if not trace:
        end, seen = walk.go(n_steps).x, None
    else:
        seen = walk.trace(n_steps, thin)
        end = walk.x
    if compile is True and (blocks is None or blocks.why):
        why = "it takes its steps itself, in `sample`" if blocks is None else blocks.why
        warnings.warn(f"the sampler was not compiled: {why}", RuntimeWarning, stacklevel=2)
    return end if seen is None else (end, seen)


def _blocks(
    kernel: Any,
    energy: Energy,
    x: Tensor,
    compile: bool | Literal["auto"],  # noqa: A002 (torch's own word for it)
    n_steps: int,
    trace: bool,
) -> Blocks | None:
    if compile is False or hasattr(kernel, "sample"):
        return None
    from ebmcore.compile.chains import blocks_of, pays

    if compile == "auto" and not pays(kernel, n_steps):
        return None
    return blocks_of(kernel, energy, every=trace, device=x.device)


def _noise(energy: Energy, shape: tuple[int, ...], generator: Generator | None) -> Tensor:
    parameter = next(energy.parameters(), None) if isinstance(energy, nn.Module) else None
    device = torch.device("cpu") if parameter is None else parameter.device
    dtype = None if parameter is None else parameter.dtype
    return torch.randn(shape, generator=generator, device=device, dtype=dtype)


def _stack(infos: list[Any]) -> Any:
    if infos[0] is None:
        return None
    return type(infos[0])(*(torch.stack(field) for field in zip(*infos, strict=True)))
