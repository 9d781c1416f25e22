"""What of a training step can be compiled: tried at the first step, before anything has moved.

Everything is done eagerly, so that a part that fails is blamed as ever, and then once more as a
graph from the same draws. What can't be traced, draws otherwise or comes to something else is left
out, by name and with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ebmcore.compile.batched_noise import Noise, Noises
from ebmcore.compile.functions import (
    Handed,
    Judged,
    LongWalk,
    Ways,
    judging,
    moving,
    outside_of_graphs,
    whole_step,
)
from ebmcore.compile.graph import LONGEST, Graph
from ebmcore.compile.rng_replay import HandedIn, Script, Watching
from ebmcore.compile.verify import check_judged, check_samples
from ebmcore.errors import GraphError
from ebmcore.train.step import TrainStep, stream_of

COMPILING = "compiling"
_WHOLE = "the whole step"


class Moment(NamedTuple):
    """What a step moves before it is applied."""

    streams: list[Tensor]
    buffers: list[Tensor]


class Seen(NamedTuple):
    """The first step, done eagerly."""

    x: Tensor
    y: Tensor | None
    start: Tensor | None
    x_neg: Tensor | None
    step: int
    begin: Moment
    between: Moment  # the sampler and the losses
    end: Moment


class Plan(NamedTuple):
    """How steps are taken, and how their randomness is drawn beforehand."""

    ways: Ways = Ways()
    sampler: Script = Script()  # of a sampler that takes its steps itself
    losses: Script = Script()
    left_out: Mapping[str, str] = MappingProxyType({})  # part -> why it isn't compiled


def find_plan(
    step: TrainStep,
    backend: str,
    noise: Noise,
    x: Tensor,
    y: Tensor | None,
    start: Tensor | None,
    number: int,
) -> Plan:
    """Find how steps like this one can be taken; streams, buffers and gradients stay as they were.

    Args:
        step: Takes steps eagerly.
        backend: As of `Graph`.
        noise: Draws the noise of the step's kernel.
        x: The batch, (batch, *event), and its labels y, (batch,).
        start: Where the chains begin, (chains, *event); None when no loss asks for samples.
        number: The steps done before.
    """
    return _Search(step, backend, noise).plan(x, y, start, number)


def draw(step: TrainStep, plan: Plan, noise: Noise, start: Tensor | None, number: int) -> Handed:
    """Draw what the graphs will need, as the eager step would have drawn it."""
    noises: Noises = ()
    draws: list[Tensor] = []
    losses: list[Tensor] = []
    sampler, ways = step.parts.sampler, plan.ways
    if start is not None and sampler is not None and (ways.whole or ways.move):
        with step.account(step.parts.label("sampler"), number + 1):
            if hasattr(sampler.kernel, "sample"):
                draws = plan.sampler.read(step.streams)
            else:
                noises = noise(start, step.streams("sampler"), sampler.n_steps)
    if ways.whole or ways.judge:
        losses = plan.losses.read(step.streams)
    return Handed(noises, draws, losses)


class _Search:
    """One search: it tries the step's functions as graphs and notes why one is left out."""

    def __init__(self, step: TrainStep, backend: str, noise: Noise) -> None:
        self.of = step
        self.backend = backend
        self.noise = noise
        self.parts = step.parts
        self.buffers = step.parts.buffers
        self.sampler_script = Script()
        self.losses_script = Script()
        self.why: dict[str, str] = {}
        self.sampler = self.parts.label("sampler")
        self.losses = " and ".join(term.label for term in self.parts.losses)

    def plan(self, x: Tensor, y: Tensor | None, start: Tensor | None, step: int) -> Plan:
        """Take the step eagerly, and then as graphs from the same draws."""
        for purpose in ("sampler", *(stream_of(term) for term in self.parts.losses)):
            self.of.streams(purpose)  # so that each is there before and after
        begin = self._moment()
        with self.of.evaluations.counting():
            with Watching() as sampler:
                x_neg = None if start is None else self.of.move(start, step).x
            between = self._moment()
            with Watching() as losses:
                self.of.judge(x, x_neg, y, step)
        seen = Seen(x, y, start, x_neg, step, begin, between, self._moment())
        try:
            with self.of.account(COMPILING), self.of.derivatives():
                ways = self._best(seen, self._can_move(seen, sampler), self._can_judge(losses))
                return self._planned(ways)
        finally:
            self._back_to(begin)
            self.parts.optimizer.zero_grad(set_to_none=True)

    def _planned(self, ways: Ways) -> Plan:
        return Plan(ways, self.sampler_script, self.losses_script, self.why)

    def _best(self, seen: Seen, can_move: bool, can_judge: bool) -> Ways:
        steps = 0 if seen.start is None or not self.parts.sampler else self.parts.sampler.n_steps
        if can_judge and (seen.start is None or (can_move and steps <= LONGEST)):
            whole = self._whole(seen)
            if whole is not None:
                return Ways(whole=whole)
            if seen.start is None:
                self.why[self.losses] = self.why.pop(_WHOLE)
                return Ways()
        move = self._move(seen, steps) if can_move else None
        judge = self._judge(seen) if can_judge else None
        if move is None or judge is None:
            self.why.pop(_WHOLE, None)  # the half that failed says it better
        return Ways(move=move, judge=judge)

    def _can_move(self, seen: Seen, watched: Watching) -> bool:
        sampler = self.parts.sampler
        if seen.start is None or sampler is None:
            return False
        if not hasattr(sampler.kernel, "sample"):
            return True
        if sampler.n_steps > LONGEST:
            self.why[self.sampler] = f"it takes its {sampler.n_steps} steps itself, in `sample`"
            return False
        script = self._script(watched, self.sampler)
        self.sampler_script = script or Script()
        return script is not None

    def _can_judge(self, watched: Watching) -> bool:
        unfit = outside_of_graphs(self.parts.losses)
        self.why |= unfit
        if unfit:
            return False
        script = self._script(watched, self.losses)
        self.losses_script = script or Script()
        return script is not None

    def _script(self, watched: Watching, label: str) -> Script | None:
        try:
            return Script.of(watched, self.of.streams.items())
        except GraphError as error:
            self.why[label] = str(error)
            return None

    def _whole(self, seen: Seen) -> Graph | None:
        graph = self._graph(whole_step(self.parts, self.of.train))

        def compare(handed: Handed) -> None:
            x_neg, _, judged = graph(seen.start, seen.x, seen.y, handed)
            check_samples(x_neg, seen.x_neg)
            check_judged(judged, self._by_hand(seen, x_neg, handed))

        ways = Ways(whole=graph)
        return graph if self._agrees(_WHOLE, ways, seen, seen.begin, seen.end, compare) else None

    def _move(self, seen: Seen, steps: int) -> Graph | LongWalk | None:
        long = steps > LONGEST
        graph: Graph | LongWalk = (
            LongWalk(self.parts, LONGEST, self._graph) if long else self._graph(moving(self.parts))
        )

        def compare(handed: Handed) -> None:
            assert seen.start is not None
            check_samples(graph(seen.start, handed)[0], seen.x_neg)

        ways, until = Ways(move=graph), seen.between
        agrees = self._agrees(self.sampler, ways, seen, seen.begin, until, compare)
        return graph if agrees else None

    def _judge(self, seen: Seen) -> Graph | None:
        graph = self._graph(judging(self.parts, self.of.train))

        def compare(handed: Handed) -> None:
            judged = graph(seen.x, seen.x_neg, seen.y, handed)
            check_judged(judged, self._by_hand(seen, seen.x_neg, handed))

        ways, at = Ways(judge=graph), seen.between
        return graph if self._agrees(self.losses, ways, seen, at, seen.end, compare) else None

    def _graph(self, function: Callable[..., Any]) -> Graph:
        return Graph(function, self.parts.device, backend=self.backend)

    def _agrees(
        self,
        label: str,
        ways: Ways,
        seen: Seen,
        begin: Moment,
        end: Moment,
        compare: Callable[[Handed], None],
    ) -> bool:
        """Whether a graph draws and computes what was seen; if not, note why."""
        self._back_to(begin)
        try:
            compare(draw(self.of, self._planned(ways), self.noise, seen.start, seen.step))
            now = self.of.streams.positions()
            if not all(torch.equal(a, b) for a, b in zip(now, end.streams, strict=True)):
                raise GraphError("in a graph it draws from torch's generators in another order")
        except GraphError as error:
            self.why[label] = str(error)
            return False
        return True

    def _by_hand(self, seen: Seen, x_neg: Tensor | None, handed: Handed) -> Judged:
        """Return what the eager losses come to from the same draws; all else stays as it is."""
        now = self._moment()
        self._back_to(seen.between)  # what draws from torch's own generators draws the same again
        with HandedIn(handed.losses) as given:
            metrics = self.of.judge(seen.x, x_neg, seen.y, seen.step)
        if given.used != len(handed.losses):
            raise GraphError("it draws more or less often from one call to the next")
        self._back_to(now)
        return Judged(metrics, [parameter.grad for parameter in self.of.parameters])

    def _moment(self) -> Moment:
        return Moment(self.of.streams.positions(), [b.clone() for b in self.buffers])

    def _back_to(self, moment: Moment) -> None:
        self.of.streams.rewind(moment.streams)
        with torch.no_grad():
            for buffer, before in zip(self.buffers, moment.buffers, strict=True):
                buffer.copy_(before)
