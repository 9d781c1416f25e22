"""An energy and its score, evaluated with their shapes checked and modules left as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Variable

from ebmcore.contracts import Energy

PIECE = 4096  # chains that a CPU evaluates at a time: their hidden units stay in its cache
WHOLE = 10_000  # chains up to which all are evaluated at once, as in runs that were recorded before


class EnergyWrapper:
    """An energy made of another, `energy`, whose modules are its own."""

    keeps_graph = False

    def __init__(self, energy: Any) -> None:
        self.energy = energy

    def of_rows(self, rows: slice) -> Any:
        """Return the energy of some rows of a batch."""
        return self


class Differentiable(EnergyWrapper):
    """An energy through which samples can be differentiated.

    Kernels that use `energy_and_score` keep the autograd graph of their steps. A loss that needs
    the gradient of chains' end points with respect to the energy's parameters runs
    `kernel.step(Differentiable(energy), state, noise)`; nothing else changes.
    """

    keeps_graph = True

    def __call__(self, x: Tensor, **conditions: Tensor) -> Tensor:
        """Return E(x), or E(x, y) of an energy that takes conditions."""
        values: Tensor = self.energy(x, **conditions)
        return values


def energy_and_score(energy: Energy, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return E(x) and the score -∇E(x), with one gradient, w.r.t. x alone.

    Shapes: x (chains, *event) -> (chains,) in nats, (chains, *event). Neither carries a graph, and
    the energy's parameters get no gradient, unless the energy is a `Differentiable` one. A CPU
    evaluates many chains in pieces, where the energy is a module in evaluation mode: memory and
    the cost of a chain don't grow with their number. Raises ValueError when the energy doesn't
    return one value per chain.
    """
    # an nn.Module raises and catches an exception for an attribute that it doesn't have
    if not isinstance(energy, nn.Module) and getattr(energy, "keeps_graph", False):
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            values = energy(x)
            check_energies(values, x)
            (gradient,) = torch.autograd.grad(values.sum(), x, create_graph=True)
        return values, -gradient
    if len(x) > WHOLE and _is_each_alone(energy, x):
        return _in_pieces(energy, x)
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        values = energy(x)
        check_energies(values, x)
        if torch.compiler.is_compiling():  # which can trace that one
            (gradient,) = torch.autograd.grad(values.sum(), x)
        else:
            (gradient,) = differentiate(values, x)
    return values.detach(), -gradient


def differentiate(values: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of Σ values, or without inputs put them into the leaves' `grad`.

    Calls the engine: the checks of `torch.autograd.grad` take a tenth of a small MLP's gradient.
    """
    run = Variable._execution_engine.run_backward
    found: tuple[Tensor, ...] = run(
        (values,), (torch.ones_like(values),), False, False, inputs,
        allow_unreachable=not inputs, accumulate_grad=not inputs,
    )  # fmt: skip
    return found


def _is_each_alone(energy: Any, x: Tensor) -> bool:
    """Whether no chain's energy depends on others, and a CPU evaluates them, not a compiler."""
    module = module_of(energy)
    alone = energy is module or getattr(energy, "energy", None) is module
    on_cpu = x.device.type == "cpu" and not torch.compiler.is_compiling()
    return on_cpu and alone and module is not None and not module.training


def _in_pieces(energy: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    values, scores = x.new_empty(0), torch.empty_like(x)
    for begin in range(0, len(x), PIECE):
        rows = slice(begin, begin + PIECE)
        of = energy.of_rows(rows) if isinstance(energy, EnergyWrapper) else energy
        of_rows, scores[rows] = energy_and_score(of, x[rows])
        if not begin:  # made once: small blocks that stay would split the memory of large ones
            values = of_rows.new_empty(len(x))
        values[rows] = of_rows
    return values, scores


def check_energies(values: Tensor, x: Tensor) -> None:
    """Raise ValueError unless an energy returned one value per chain."""
    if values.shape != x.shape[:1]:
        raise ValueError(
            f"energy must return one value per chain, shape {tuple(x.shape[:1])}; "
            f"got {tuple(values.shape)}. Sum over the event's dimensions first."
        )


@contextmanager
def evaluating(energy: Energy) -> Iterator[None]:
    """Set an energy's modules to evaluation mode, and restore each one's mode at the end.

    cuDNN's recurrent layers have a backward in training mode alone, so cuDNN is off with them.
    """
    module = module_of(energy)
    modules = [] if module is None else list(module.modules())
    recurrent = any(isinstance(module, nn.RNNBase) for module in modules)
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        with torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext():
            yield
    finally:
        for module in training:
            module.training = True


def module_of(energy: Any) -> nn.Module | None:
    """Return the module that an energy is, or that it wraps; None for a plain function."""
    while isinstance(energy, EnergyWrapper):
        energy = energy.energy
    return energy if isinstance(energy, nn.Module) else None
