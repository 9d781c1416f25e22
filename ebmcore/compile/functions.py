"""The training step, its sampler and its losses as functions that torch.compile can trace.

Each computes the same as the eager step from randomness that was drawn beforehand: the sampler's
noise for each step, other draws in the order of the recorded calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore.compile.batched_noise import Noises
from ebmcore.compile.graph import Graph
from ebmcore.compile.rng_replay import PlaceholderGenerator, RngReplay
from ebmcore.config import Train
from ebmcore.contracts import KERNEL_SLOTS, Carried, Conditions, Sample, Start
from ebmcore.sampling import (
    carried_by,
    carried_on,
    evaluating,
    init_state,
    named_slots,
    of_chains,
    own_loop,
)
from ebmcore.train.components import LossTerm, Parts
from ebmcore.train.step import NO_CONDITIONS, condition_slots, evaluate, numbers_of, total
from ebmcore.train.targets import gradients_of, groups_of, norm_name

_SIZE = 10  # steps in a graph when the number of steps has no divisor of at least _SMALLEST
_SMALLEST = 5
_EPSILON = 1e-6  # as in torch.nn.utils.clip_grads_with_norm_


class Randomness(NamedTuple):
    """The random tensors of one step."""

    noises: Noises  # of a Kernel
    sampler: list[Tensor]  # of a sampler with its own loop, `sample`
    losses: list[Tensor]  # of the losses, in order


class Begin(NamedTuple):
    """Where a run of the sampler begins."""

    x: Tensor  # (chains, *event)
    carried: Carried | None = None  # None: the sampler doesn't take it
    state: Any = None  # of a kernel whose `init` draws, which it can't do in a graph
    conditions: Conditions = Conditions()  # of the chains


class StepGraphs(NamedTuple):
    """The graphs of a step: one of the whole, or one each of sampler and losses; None: eager."""

    whole: Graph | None = None
    sampler: Graph | RepeatedGraph | None = None
    losses: Graph | None = None

    @property
    def mode(self) -> str:
        """The `mode` in the field `compile` of run.json."""
        if self.whole is not None:
            return "step"
        return "blocks" if self.sampler is not None or self.losses is not None else "eager"


class LossResult(NamedTuple):
    """The losses' values and their gradient."""

    metrics: dict[str, Tensor]  # scalars
    gradients: list[Tensor | None]  # one for each parameter, clipped


def begin_from(
    parts: Parts, start: Start, generator: Generator, fields: Mapping[str, Tensor]
) -> Begin:
    """Return where the sampler begins; chains without one of the carried `fields` carry zeros.

    So a graph has the same inputs before chains ever carried anything.
    """
    assert parts.sampler is not None
    kernel, n_steps = parts.sampler
    whole = hasattr(kernel, "sample")
    slots = named_slots(type(kernel), "sample" if whole else "init", KERNEL_SLOTS)
    x, carried = start.x.detach(), carried_by(start)
    if "generator" in slots and not whole:
        with evaluating(parts.energy):
            energy = of_chains(parts.energy, start.conditions)
            made = init_state(
                kernel, energy, x, generator=generator, n_steps=n_steps, carried=carried
            )
        return Begin(x, state=made, conditions=start.conditions)
    if "carried" not in slots:
        return Begin(x, conditions=start.conditions)
    held = {
        name: carried.fields.get(name, like.new_zeros((len(x), *like.shape[1:])))
        for name, like in fields.items()
    }
    return Begin(x, Carried(held, carried.fresh), conditions=start.conditions)


def sampler_function(parts: Parts) -> Callable[[Begin, Randomness], Sample]:
    """Return a function that runs the sampler."""
    assert parts.sampler is not None
    sampler, kernel, network = parts.sampler, parts.sampler.kernel, parts.energy
    modules = [module for module in network.modules() if module.training]
    device = parts.device

    def run_steps(begin: Begin, randomness: Randomness) -> Sample:
        energy, state, info = of_chains(network, begin.conditions), begin.state, None
        if state is None:
            state = init_state(
                kernel, energy, begin.x.detach(), n_steps=sampler.n_steps, carried=begin.carried
            )
        for noise in randomness.noises:
            state, info = kernel.step(energy, state, noise)
        return Sample(state.x.detach(), info, carried_on(kernel, state))

    def run_own_loop(begin: Begin, randomness: Randomness) -> Sample:
        generator: Any = PlaceholderGenerator(device)
        x, energy = begin.x.detach().clone(), of_chains(network, begin.conditions)
        with RngReplay(randomness.sampler) if randomness.sampler else nullcontext():
            sample = own_loop(kernel, energy, x, sampler.n_steps, generator, begin.carried)
        return Sample(sample.x.detach(), sample.info, sample.carried)

    run = run_own_loop if hasattr(kernel, "sample") else run_steps

    def run_in_eval_mode(begin: Begin, randomness: Randomness) -> Sample:
        for module in modules:
            module.training = False
        end = run(begin, randomness)
        for module in modules:
            module.training = True
        return end

    return run_in_eval_mode


def losses_function(
    parts: Parts, train: Train
) -> Callable[[Tensor, Tensor | None, Conditions, Conditions, Randomness], LossResult]:
    """Return a function of the losses and their gradient: x, x⁻, the conditions of both, draws."""
    energy, terms, sampler, networks = parts.energy, parts.losses, parts.sampler, parts.networks
    targets, bound, device = parts.targets, train.clip_grad_norm, parts.device
    parameters = parts.parameters
    sizes = {norm_name(name): len(group) for name, group in groups_of(targets).items()}

    def compute(
        x: Tensor,
        x_neg: Tensor | None,
        conditions: Conditions,
        of_x_neg: Conditions,
        randomness: Randomness,
    ) -> LossResult:
        slots = {
            "energy": energy,
            "x": x,
            "x_neg": x_neg,
            **condition_slots(conditions, of_x_neg),
            "sampler": sampler,
            "networks": networks,
            **networks,
        }
        values: list[Tensor] = []
        metrics: dict[str, Tensor] = {}
        with RngReplay(randomness.losses) if randomness.losses else nullcontext():
            for term in terms:
                value, extra = evaluate(term, slots, PlaceholderGenerator(device))
                values.append(term.weight * value)
                metrics |= numbers_of(term, value, extra)
        loss = total(values, x)
        gradients: Sequence[Tensor | None] = (
            gradients_of(targets, values)
            if networks
            else torch.autograd.grad(loss, parameters, allow_unused=True)
        )
        metrics["loss"] = loss.detach()
        clipped: list[Tensor | None] = []
        with torch.no_grad():
            for name, size in sizes.items():
                begin = len(clipped)
                own, metrics[name] = _clipped(gradients[begin : begin + size], bound, loss)
                clipped.extend(own)
        metrics["samples"] = x.new_zeros(()) if x_neg is None else x_neg.sum()
        return LossResult(metrics, clipped)

    return compute


class RepeatedGraph:
    """A sampler of many steps, as a graph of some of them that is called repeatedly.

    Args:
        longest: The largest number of steps in the graph.
        make: Makes a graph of a function.
    """

    def __init__(
        self, parts: Parts, longest: int, make: Callable[[Callable[..., Any]], Graph]
    ) -> None:
        assert parts.sampler is not None
        self.parts = parts
        self.kernel, self.steps = parts.sampler
        steps = self.steps
        divisor = next(size for size in range(longest, 0, -1) if steps % size == 0)
        self.size = divisor if divisor >= min(_SMALLEST, longest) else _SIZE
        kernel, network = self.kernel, parts.energy

        def several_steps(state: Any, noises: Noises, conditions: Conditions) -> tuple[Any, Any]:
            energy, info = of_chains(network, conditions), None
            for noise in noises:
                state, info = kernel.step(energy, state, noise)
            return state, info

        self.eager = several_steps
        self.graph = make(several_steps)

    @property
    def function(self) -> Callable[[Begin, Randomness], Sample]:
        """The same computation, eager."""
        return sampler_function(self.parts)

    @property
    def traced(self) -> int:
        """The number of traces of the graph."""
        return self.graph.traced

    def __call__(self, begin: Begin, randomness: Randomness) -> Sample:
        """Run the sampler."""
        energy, state, info = of_chains(self.parts.energy, begin.conditions), begin.state, None
        with evaluating(energy):
            if state is None:
                state = init_state(
                    self.kernel, energy, begin.x, n_steps=self.steps, carried=begin.carried
                )
            for at in range(0, len(randomness.noises), self.size):
                noises = randomness.noises[at : at + self.size]
                run = self.graph if len(noises) == self.size else self.eager
                state, info = run(state, noises, begin.conditions)
        return Sample(state.x.detach(), info, carried_on(self.kernel, state))


def step_function(parts: Parts, train: Train) -> Callable[..., tuple[Sample | None, LossResult]]:
    """Return a function of both: begin, x, its conditions, randomness -> Sample, LossResult."""
    compute_losses = losses_function(parts, train)
    if not parts.needs_samples:

        def losses_alone(
            begin: None, x: Tensor, conditions: Conditions, randomness: Randomness
        ) -> tuple[None, LossResult]:
            return None, compute_losses(x, None, conditions, NO_CONDITIONS, randomness)

        return losses_alone
    run_sampler = sampler_function(parts)

    def both(
        begin: Begin, x: Tensor, conditions: Conditions, randomness: Randomness
    ) -> tuple[Sample, LossResult]:
        sample = run_sampler(begin, randomness)
        return sample, compute_losses(x, sample.x, conditions, begin.conditions, randomness)

    return both


def untraceable_losses(terms: Sequence[LossTerm]) -> dict[str, str]:
    """Return the losses that name a slot which can't be in a graph, each with the reason."""
    reasons = {
        "step": "it names `step`, a number that changes at every step",
        "chains": "it names `chains`, an object with state outside of tensors",
    }
    return {
        term.label: why for term in terms for slot, why in reasons.items() if slot in term.slots
    }


def _clipped(
    gradients: Sequence[Tensor | None], bound: float | None, loss: Tensor
) -> tuple[list[Tensor | None], Tensor]:
    norms = [torch.linalg.vector_norm(g) for g in gradients if g is not None]
    if not norms:  # of a network that no loss trains
        return [None] * len(gradients), torch.zeros_like(loss)
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    if bound is None:
        return [None if g is None else g.detach() for g in gradients], norm
    scale = (bound / (norm + _EPSILON)).clamp(max=1.0)
    return [None if g is None else g.detach() * scale for g in gradients], norm
