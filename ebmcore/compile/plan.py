"""Finds the parts of a training step that can be compiled, at the first step.

The step is computed eagerly first, so that an error names its part, and then as graphs from the
same draws. A part that can't be traced, or whose draws or results differ, stays eager; the plan
names it with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ebmcore.compile.batched_noise import BatchedNoise, Noises
from ebmcore.compile.compilers import OutOfTime, time_limit
from ebmcore.compile.functions import (
    Begin,
    LossResult,
    Randomness,
    RepeatedGraph,
    StepGraphs,
    begin_from,
    losses_function,
    sampler_function,
    step_function,
    untraceable_losses,
)
from ebmcore.compile.graph import LONG_STEP, LONGEST, Graph, Limits
from ebmcore.compile.rng_replay import RngRecorder, RngReplay, RngScript
from ebmcore.compile.verify import check_losses, check_samples
from ebmcore.contracts import Conditions, Sample, Start
from ebmcore.errors import GraphError
from ebmcore.train.step import TrainStep, chains_have, stream_of

COMPILING = "compiling"
_WHOLE = "the whole step"


class MutableState(NamedTuple):
    """The state that a step changes before it is applied."""

    streams: list[Tensor]
    buffers: list[Tensor]


class EagerStep(NamedTuple):
    """The first step, computed eagerly."""

    x: Tensor
    conditions: Conditions
    start: Start | None
    sample: Sample | None
    step: int
    begin: MutableState
    between: MutableState  # after the sampler, before the losses
    end: MutableState

    @property
    def x_neg(self) -> Tensor | None:
        """The samples, (chains, *event)."""
        return None if self.sample is None else self.sample.x


class Plan(NamedTuple):
    """The graphs of a step, and the calls that draw their randomness beforehand."""

    graphs: StepGraphs = StepGraphs()
    sampler: RngScript = RngScript()  # of a sampler with its own loop, `sample`
    losses: RngScript = RngScript()
    left_out: Mapping[str, str] = MappingProxyType({})  # part -> why it isn't compiled
    carried: Mapping[str, Tensor] = MappingProxyType({})  # what the first step's chains carry on
    given_up: frozenset[str] = frozenset()  # of those left out, the parts that took too long


def find_plan(
    step: TrainStep,
    backend: str,
    noise: BatchedNoise,
    limits: Limits,
    x: Tensor,
    conditions: Conditions,
    start: Start | None,
    number: int,
) -> Plan:
    """Find the graphs of steps like this one; restores streams, buffers and gradients.

    Args:
        step: The eager step.
        backend: The backend of `Graph`.
        noise: Draws the noise of the step's kernel.
        limits: The largest graph, and the time for all.
        x: The batch, (batch, *event), and its conditions.
        start: Where the chains start; None when no loss names `x_neg`.
        number: The number of steps done before.
    """
    return _PlanSearch(step, backend, noise, limits).plan(x, conditions, start, number)


def prepare(
    step: TrainStep, plan: Plan, noise: BatchedNoise, start: Start | None, number: int
) -> tuple[Begin | None, Randomness]:
    """Begin the chains and draw the randomness of the graphs, in the order of the eager step."""
    begin: Begin | None = None
    noises: Noises = ()
    draws: list[Tensor] = []
    losses: list[Tensor] = []
    sampler, graphs = step.parts.sampler, plan.graphs
    if start is not None and sampler is not None and (graphs.whole or graphs.sampler):
        with step.timing(step.parts.label("sampler"), number + 1):
            begin = begin_from(step.parts, start, step.streams("sampler"), plan.carried)
            if hasattr(sampler.kernel, "sample"):
                draws = plan.sampler.draw(step.streams)
            else:
                noises = noise(begin.x, step.streams("sampler"), sampler.n_steps)
    if graphs.whole or graphs.losses:
        losses = plan.losses.draw(step.streams)
    return begin, Randomness(noises, draws, losses)


class _PlanSearch:
    """Tries the step's functions as graphs, and notes why one stays eager."""

    def __init__(self, step: TrainStep, backend: str, noise: BatchedNoise, limits: Limits) -> None:
        self.eager_step = step
        self.backend = backend
        self.noise = noise
        self.limits = limits
        self.given_up = set(limits.given_up)
        self.until = time.monotonic() + limits.seconds
        self.parts = step.parts
        self.buffers = step.parts.buffers
        self.sampler_script = RngScript()
        self.losses_script = RngScript()
        self.carried: Mapping[str, Tensor] = {}
        self.why: dict[str, str] = {}
        self.sampler = self.parts.label("sampler")
        self.losses = " and ".join(term.label for term in self.parts.losses)

    def plan(self, x: Tensor, conditions: Conditions, start: Start | None, step: int) -> Plan:
        """Compute the step eagerly, and then as graphs from the same draws."""
        for purpose in ("sampler", *(stream_of(term) for term in self.parts.losses)):
            self.eager_step.streams(purpose)  # make each stream before the state is copied
        begin = self._current_state()
        with self.eager_step.evaluations.counting():
            with RngRecorder() as sampler:
                sample = None if start is None else self.eager_step.run_sampler(start, step)
            x_neg = None if sample is None else sample.x
            between = self._current_state()
            with RngRecorder() as losses:
                self.eager_step.compute_gradients(x, x_neg, conditions, step, chains_have(start))
        self.carried = {} if sample is None else sample.carried
        eager = EagerStep(x, conditions, start, sample, step, begin, between, self._current_state())
        try:
            with self.eager_step.timing(COMPILING), self.eager_step.derivatives():
                can_sample = self._can_trace_sampler(eager, sampler)
                graphs = self._best(eager, can_sample, self._can_trace_losses(losses))
                return self._planned(graphs)
        finally:
            self._restore(begin)
            self.eager_step.zero_grad()

    def _planned(self, graphs: StepGraphs) -> Plan:
        given_up = frozenset(self.given_up)
        return Plan(
            graphs, self.sampler_script, self.losses_script, self.why, self.carried, given_up
        )

    def _best(self, eager: EagerStep, can_sample: bool, can_loss: bool) -> StepGraphs:
        steps = 0 if eager.start is None or not self.parts.sampler else self.parts.sampler.n_steps
        if can_loss and (eager.start is None or (can_sample and steps <= self._longest)):
            whole = self._whole_graph(eager)
            if whole is not None:
                return StepGraphs(whole=whole)
            if eager.start is None:
                self.why[self.losses] = self.why.pop(_WHOLE)
                return StepGraphs()
        sampler = self._sampler_graph(eager, steps) if can_sample else None
        losses = self._losses_graph(eager) if can_loss else None
        if sampler is None or losses is None:
            self.why.pop(_WHOLE, None)  # the half that failed has the precise reason
        return StepGraphs(sampler=sampler, losses=losses)

    @property
    def _longest(self) -> int:
        """The most steps in one graph; a sampler's own loop is never cut."""
        own_loop = self.parts.sampler and hasattr(self.parts.sampler.kernel, "sample")
        return LONGEST if own_loop else self.limits.longest

    def _can_trace_sampler(self, eager: EagerStep, recorder: RngRecorder) -> bool:
        sampler = self.parts.sampler
        if eager.start is None or sampler is None:
            return False
        if getattr(sampler.kernel, "long_step", False):
            self.why[self.sampler] = LONG_STEP
            return False
        if not hasattr(sampler.kernel, "sample"):
            return True
        if sampler.n_steps > LONGEST:
            self.why[self.sampler] = f"it runs its {sampler.n_steps} steps in its own `sample`"
            return False
        script = self._script(recorder, self.sampler)
        self.sampler_script = script or RngScript()
        return script is not None

    def _can_trace_losses(self, recorder: RngRecorder) -> bool:
        untraceable = untraceable_losses(self.parts.losses)
        self.why |= untraceable
        if untraceable:
            return False
        script = self._script(recorder, self.losses)
        self.losses_script = script or RngScript()
        return script is not None

    def _script(self, recorder: RngRecorder, label: str) -> RngScript | None:
        try:
            return RngScript.of(recorder, self.eager_step.streams.items())
        except GraphError as error:
            self.why[label] = str(error)
            return None

    def _whole_graph(self, eager: EagerStep) -> Graph | None:
        graph = self._graph(step_function(self.parts, self.eager_step.train))

        def compare(begin: Begin | None, randomness: Randomness) -> None:
            sample, result = graph(begin, eager.x, eager.conditions, randomness)
            check_samples(sample, eager.sample)
            x_neg = None if sample is None else sample.x
            check_losses(result, self._eager_losses(eager, x_neg, randomness))

        graphs = StepGraphs(whole=graph)
        return (
            graph if self._agrees(_WHOLE, graphs, eager, eager.begin, eager.end, compare) else None
        )

    def _sampler_graph(self, eager: EagerStep, steps: int) -> Graph | RepeatedGraph | None:
        long = steps > self._longest
        graph: Graph | RepeatedGraph = (
            RepeatedGraph(self.parts, self._longest, self._graph)
            if long
            else self._graph(sampler_function(self.parts))
        )

        def compare(begin: Begin | None, randomness: Randomness) -> None:
            assert begin is not None
            check_samples(graph(begin, randomness), eager.sample)

        graphs, until = StepGraphs(sampler=graph), eager.between
        agrees = self._agrees(self.sampler, graphs, eager, eager.begin, until, compare)
        return graph if agrees else None

    def _losses_graph(self, eager: EagerStep) -> Graph | None:
        graph = self._graph(losses_function(self.parts, self.eager_step.train))

        def compare(begin: Begin | None, randomness: Randomness) -> None:
            result = graph(
                eager.x, eager.x_neg, eager.conditions, chains_have(eager.start), randomness
            )
            check_losses(result, self._eager_losses(eager, eager.x_neg, randomness))

        graphs, at = StepGraphs(losses=graph), eager.between
        return graph if self._agrees(self.losses, graphs, eager, at, eager.end, compare) else None

    def _graph(self, function: Callable[..., Any]) -> Graph:
        return Graph(function, self.parts.device, backend=self.backend)

    def _agrees(
        self,
        label: str,
        graphs: StepGraphs,
        eager: EagerStep,
        begin: MutableState,
        end: MutableState,
        compare: Callable[[Begin | None, Randomness], None],
    ) -> bool:
        """Whether a graph draws and computes the same as the eager step; if not, note why."""
        self._restore(begin)
        try:
            if label in self.given_up:
                raise OutOfTime
            plan = self._planned(graphs)
            with time_limit(self.until):
                compare(*prepare(self.eager_step, plan, self.noise, eager.start, eager.step))
            now = self.eager_step.streams.positions()
            if not all(torch.equal(a, b) for a, b in zip(now, end.streams, strict=True)):
                raise GraphError(
                    "the graph draws from torch's generators in another order than the eager step"
                )
        except GraphError as error:
            self.why[label] = str(error)
            return False
        except OutOfTime:
            self.given_up.add(label)
            self.why[label] = "compiling took more than compile_seconds"
            return False
        return True

    def _eager_losses(
        self, eager: EagerStep, x_neg: Tensor | None, randomness: Randomness
    ) -> LossResult:
        """Return the eager losses from the same draws; restores streams and buffers."""
        now = self._current_state()
        self._restore(eager.between)  # draws from torch's own generators repeat
        with RngReplay(randomness.losses) as replay:
            metrics = self.eager_step.compute_gradients(
                eager.x, x_neg, eager.conditions, eager.step, chains_have(eager.start)
            )
        if replay.used != len(randomness.losses):
            raise GraphError("the number of its draws changes from call to call")
        self._restore(now)
        return LossResult(metrics, [parameter.grad for parameter in self.eager_step.parameters])

    def _current_state(self) -> MutableState:
        return MutableState(self.eager_step.streams.positions(), [b.clone() for b in self.buffers])

    def _restore(self, state: MutableState) -> None:
        self.eager_step.streams.rewind(state.streams)
        with torch.no_grad():
            for buffer, before in zip(self.buffers, state.buffers, strict=True):
                buffer.copy_(before)
