"""The pieces of a training step as functions that a compiler can take in one go.

Each does what the eager step does, with all its randomness drawn beforehand and handed in: the
sampler's noise step by step, other draws in the order in which they were made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ebmcore.compile.batched_noise import Noises
from ebmcore.compile.graph import Graph
from ebmcore.compile.rng_replay import HandedIn, StandIn
from ebmcore.config import Train
from ebmcore.sampling import evaluating
from ebmcore.train.components import LossTerm, Parts
from ebmcore.train.step import evaluate, numbers_of

_SIZE = 10  # steps in a graph of a walk whose length has no divisor that serves
_WORTH_A_GRAPH = 5
_EPSILON = 1e-6  # as in torch.nn.utils.clip_grads_with_norm_


class Handed(NamedTuple):
    """The randomness of one step."""

    noises: Noises  # of a Kernel
    draws: list[Tensor]  # of a sampler that takes its steps itself
    losses: list[Tensor]  # of the losses, in order


class Ways(NamedTuple):
    """How a step is taken: as one graph, or its halves as one each; None is eagerly."""

    whole: Graph | None = None
    move: Graph | LongWalk | None = None
    judge: Graph | None = None

    @property
    def mode(self) -> str:
        """The word for it in a run's record."""
        if self.whole is not None:
            return "step"
        return "blocks" if self.move is not None or self.judge is not None else "eager"


class Judged(NamedTuple):
    """What the losses came to."""

    metrics: dict[str, Tensor]  # scalars
    gradients: list[Tensor | None]  # one for each parameter, clipped


def moving(parts: Parts) -> Callable[[Tensor, Handed], tuple[Tensor, Any]]:
    """Return a function that runs the sampler: start, handed -> x⁻ and the last step's info."""
    assert parts.sampler is not None
    sampler, kernel, energy = parts.sampler, parts.sampler.kernel, parts.energy
    modules = [module for module in energy.modules() if module.training]
    device = parts.device

    def one_by_one(start: Tensor, handed: Handed) -> tuple[Tensor, Any]:
        state, info = kernel.init(energy, start.detach()), None
        for noise in handed.noises:
            state, info = kernel.step(energy, state, noise)
        return state.x.detach(), info

    def whole(start: Tensor, handed: Handed) -> tuple[Tensor, Any]:
        with HandedIn(handed.draws) if handed.draws else nullcontext():
            found = kernel.sample(energy, start.detach().clone(), sampler.n_steps, StandIn(device))
        x, info = (found[0], found[1]) if isinstance(found, tuple) else (found, None)
        return x.detach(), info

    take = whole if hasattr(kernel, "sample") else one_by_one

    def move(start: Tensor, handed: Handed) -> tuple[Tensor, Any]:
        for module in modules:
            module.training = False
        end = take(start, handed)
        for module in modules:
            module.training = True
        return end

    return move


def judging(
    parts: Parts, train: Train
) -> Callable[[Tensor, Tensor | None, Tensor | None, Handed], Judged]:
    """Return a function that takes the losses and their gradient: x, x⁻, y, handed -> Judged."""
    energy, terms, sampler = parts.energy, parts.losses, parts.sampler
    parameters, bound, device = parts.parameters, train.clip_grad_norm, parts.device

    def judge(x: Tensor, x_neg: Tensor | None, y: Tensor | None, handed: Handed) -> Judged:
        slots = {"energy": energy, "x": x, "x_neg": x_neg, "y": y, "sampler": sampler}
        total = torch.zeros((), device=x.device, dtype=x.dtype)
        metrics: dict[str, Tensor] = {}
        with HandedIn(handed.losses) if handed.losses else nullcontext():
            for term in terms:
                value, extra = evaluate(term, slots, StandIn(device))
                total = total + term.weight * value
                metrics |= numbers_of(term, value, extra)
        gradients = torch.autograd.grad(total, parameters, allow_unused=True)
        with torch.no_grad():
            clipped, norm = _clipped(gradients, bound)
        metrics["loss"] = total.detach()
        metrics["train/grad_norm"] = norm
        metrics["samples"] = x.new_zeros(()) if x_neg is None else x_neg.sum()
        return Judged(metrics, clipped)

    return judge


class LongWalk:
    """A sampler of many steps: a graph of some of them is called again and again.

    Args:
        longest: How many steps may be in the graph.
        make: What makes a graph of a function.
    """

    def __init__(
        self, parts: Parts, longest: int, make: Callable[[Callable[..., Any]], Graph]
    ) -> None:
        assert parts.sampler is not None
        self.parts = parts
        self.kernel, steps = parts.sampler.kernel, parts.sampler.n_steps
        divisor = next(size for size in range(longest, 0, -1) if steps % size == 0)
        self.size = divisor if divisor >= _WORTH_A_GRAPH else _SIZE
        kernel, energy = self.kernel, parts.energy

        def some(state: Any, noises: Noises) -> tuple[Any, Any]:
            info = None
            for noise in noises:
                state, info = kernel.step(energy, state, noise)
            return state, info

        self.block = some
        self.graph = make(some)

    @property
    def function(self) -> Callable[[Tensor, Handed], tuple[Tensor, Any]]:
        """What it does, one operation at a time."""
        return moving(self.parts)

    @property
    def traced(self) -> int:
        """How often the graph was traced."""
        return self.graph.traced

    def __call__(self, start: Tensor, handed: Handed) -> tuple[Tensor, Any]:
        """Run the sampler: start, handed -> x⁻ and the last step's info."""
        with evaluating(self.parts.energy):
            state, info = self.kernel.init(self.parts.energy, start.detach()), None
            for at in range(0, len(handed.noises), self.size):
                noises = handed.noises[at : at + self.size]
                take = self.graph if len(noises) == self.size else self.block
                state, info = take(state, noises)
        return state.x.detach(), info


def whole_step(parts: Parts, train: Train) -> Callable[..., tuple[Tensor | None, Any, Judged]]:
    """Return a function that does both: start, x, y, handed -> x⁻, info, Judged."""
    judge = judging(parts, train)
    if not parts.needs_samples:

        def judge_alone(
            start: None, x: Tensor, y: Tensor | None, handed: Handed
        ) -> tuple[None, None, Judged]:
            return None, None, judge(x, None, y, handed)

        return judge_alone
    move = moving(parts)

    def both(
        start: Tensor, x: Tensor, y: Tensor | None, handed: Handed
    ) -> tuple[Tensor, Any, Judged]:
        x_neg, info = move(start, handed)
        return x_neg, info, judge(x, x_neg, y, handed)

    return both


def outside_of_graphs(terms: Sequence[LossTerm]) -> dict[str, str]:
    """Say which losses ask for what can't be in a graph, and why."""
    reasons = {
        "step": "it names `step`, a number that is another one at every step",
        "chains": "it names `chains`, which are kept outside of tensors",
    }
    return {
        term.label: why for term in terms for slot, why in reasons.items() if slot in term.slots
    }


def _clipped(
    gradients: Sequence[Tensor | None], bound: float | None
) -> tuple[list[Tensor | None], Tensor]:
    norms = [torch.linalg.vector_norm(g) for g in gradients if g is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    if bound is None:
        return [None if g is None else g.detach() for g in gradients], norm
    scale = (bound / (norm + _EPSILON)).clamp(max=1.0)
    return [None if g is None else g.detach() * scale for g in gradients], norm
