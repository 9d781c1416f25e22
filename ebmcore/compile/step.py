"""The training step as compiled graphs; a part that can't be traced stays eager.

`plan` finds the graphs at the first step, before it changes any state. Every step, the first one
too, then runs through these graphs, so a resumed run repeats the uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from ebmcore.compile.batched_noise import BatchedNoise
from ebmcore.compile.functions import LossResult, RepeatedGraph
from ebmcore.compile.graph import Graph, Limits, results_agree
from ebmcore.compile.plan import Plan, find_plan, prepare
from ebmcore.config import Train
from ebmcore.contracts import Conditions, Start
from ebmcore.errors import GraphError
from ebmcore.train.components import Parts
from ebmcore.train.rng import Streams
from ebmcore.train.step import TrainStep, chains_have
from ebmcore.train.timing import Timing
from ebmcore.train.types import StepResult

COMPILED = "the compiled step"


class CompiledStep(TrainStep):
    """`TrainStep` as compiled graphs, with the same draws in the same order.

    When a guard of a graph fails, for instance because a loss changed a number of its own, the
    graph is traced and compared again; after three traces all steps run eagerly.

    Args:
        backend: The backend of `Graph`.
        warn: Called with the parts that stay eager, and why.
        compiling: Makes the context in which the first step is compiled, to show that it is.
        limits: The largest graph, and the time for compiling.
    """

    def __init__(
        self,
        parts: Parts,
        train: Train,
        streams: Streams,
        averaged: AveragedModel | None,
        timing: Timing | None = None,
        *,
        backend: str = "inductor",
        warn: Callable[[str], None] = lambda text: None,
        compiling: Callable[[], AbstractContextManager[None]] = nullcontext,
        limits: Limits = Limits(),  # noqa: B008 (it is immutable)
    ) -> None:
        super().__init__(parts, train, streams, averaged, timing)
        self.backend = backend
        self.warn = warn
        self.compiling = compiling
        self.limits = limits
        self.plan: Plan | None = None  # found at the first step
        self.left_out: dict[str, str] = {}
        self.noise = BatchedNoise(None if parts.sampler is None else parts.sampler.kernel)
        self.buffers = parts.buffers
        self.left_out.update({label: why for label, why in self.why_not_fused.items() if why})

    @property
    def mode(self) -> str:
        """How steps run: `step`, `blocks` or `eager`; before the first step, `step`."""
        return "step" if self.plan is None else self.plan.graphs.mode

    def compute_from(
        self, start: Start | None, x: Tensor, conditions: Conditions, step: int
    ) -> StepResult:
        """Do the work of `compute` from the chains' start points."""
        if self.plan is None:
            with self.compiling():
                self.plan = find_plan(
                    self, self.backend, self.noise, self.limits, x, conditions, start, step
                )
            self.limits = self.limits._replace(given_up=self.plan.given_up)
            self._warn_left_out(self.plan.left_out)
        graphs = self.plan.graphs
        if graphs.mode == "eager":
            return super().compute_from(start, x, conditions, step)
        begin, randomness = prepare(self, self.plan, self.noise, start, step)
        if graphs.whole is not None:
            sample, result = self._call_graph(graphs.whole, step, begin, x, conditions, randomness)
            x_neg, info, end = self.end_of(start, sample, step)
            return StepResult(x, x_neg, info, self._store_gradients(result), end, conditions)
        sample = None
        if start is not None and graphs.sampler is not None:
            sample = self._call_graph(graphs.sampler, step, begin, randomness)
        elif start is not None:
            sample = self.run_sampler(start, step)
        x_neg, info, end = self.end_of(start, sample, step)
        of_x_neg = chains_have(start)
        if graphs.losses is None:
            metrics = self.compute_gradients(x, x_neg, conditions, step, of_x_neg)
            return StepResult(x, x_neg, info, metrics, end, conditions)
        result = self._call_graph(graphs.losses, step, x, x_neg, conditions, of_x_neg, randomness)
        return StepResult(x, x_neg, info, self._store_gradients(result), end, conditions)

    def _store_gradients(self, result: LossResult) -> dict[str, Tensor]:
        """Store the gradient in the parameters' `grad`; return the metrics."""
        for parameter, gradient in zip(self.parameters, result.gradients, strict=True):
            if gradient is not None and gradient.stride() != parameter.stride():
                # fused optimisers read both as flat memory, so autograd keeps the layout, too
                gradient = torch.empty_like(parameter).copy_(gradient)
            parameter.grad = gradient
        return result.metrics

    def _call_graph(self, graph: Graph | RepeatedGraph, step: int, *args: Any) -> Any:
        """Call a graph; when it fails, or its new trace differs, all steps become eager."""
        traced = graph.traced
        buffers = self.buffers and [b.clone() for b in self.buffers]
        try:
            with self.timing(COMPILED), self.derivatives():
                result = graph(*args)
            if graph.traced == traced:
                return result
            agrees = results_agree(result, graph.function(*args))
            why = "" if agrees else "the results of its new trace differ from the eager ones"
        except GraphError as error:
            why = str(error)
        for buffer, before in zip(self.buffers, buffers, strict=True):
            buffer.copy_(before)
        if not why:
            return graph(*args)
        self.plan = Plan()
        self._warn_left_out({COMPILED: f"at step {step + 1}, {why}"})
        with self.timing("the losses or the sampler", step + 1), self.derivatives():
            return graph.function(*args)

    def _warn_left_out(self, why: Mapping[str, str]) -> None:
        """Warn about the parts that stay eager."""
        self.left_out.update(why)
        if why:
            reasons = "; ".join(f"{part}: {text}" for part, text in why.items())
            self.warn(f"part of the training step is not compiled. {reasons}")
