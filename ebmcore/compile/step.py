"""The training step in as few compiled graphs as can be; what can't be traced stays eager.

`plan` finds it at the first step, before anything has moved. Every step, the
first one too, is then taken in that way, so a run that is resumed is the run never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from ebmcore.compile.batched_noise import Noise
from ebmcore.compile.functions import Judged, LongWalk
from ebmcore.compile.graph import Graph
from ebmcore.compile.plan import Plan, draw, find_plan
from ebmcore.compile.verify import same
from ebmcore.config import Train
from ebmcore.errors import GraphError
from ebmcore.train.components import Parts
from ebmcore.train.rng import Streams
from ebmcore.train.step import TrainStep
from ebmcore.train.timing import Account
from ebmcore.train.types import Stepped

COMPILED = "the compiled step"


class CompiledStep(TrainStep):
    """What `TrainStep` does, with the same draws in the same order, as compiled graphs.

    A graph is traced again when what it assumed has changed, such as a number that a loss keeps of
    its own, and then compared again; after three traces that part goes on eagerly.

    Args:
        backend: As of `Graph`.
        warn: Hears, once, what is left out and why.
    """

    def __init__(
        self,
        parts: Parts,
        train: Train,
        streams: Streams,
        averaged: AveragedModel | None,
        account: Account | None = None,
        *,
        backend: str = "inductor",
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        super().__init__(parts, train, streams, averaged, account)
        self.backend = backend
        self.warn = warn
        self.plan: Plan | None = None  # found at the first step
        self.left_out: dict[str, str] = {}
        self.noise = Noise(None if parts.sampler is None else parts.sampler.kernel)
        self.buffers = parts.buffers
        if self.not_fused:
            self.left_out[f"optimizer {type(parts.optimizer).__name__}"] = self.not_fused

    @property
    def mode(self) -> str:
        """How steps are taken: `step`, `blocks` or `eager`; till the first one, what is hoped."""
        return "step" if self.plan is None else self.plan.ways.mode

    def work(self, x: Tensor, y: Tensor | None, start: Tensor | None, step: int) -> Stepped:
        """Do what `compute` does, from where the chains begin."""
        if self.plan is None:
            self.plan = find_plan(self, self.backend, self.noise, x, y, start, step)
            self._tell(self.plan.left_out)
        ways = self.plan.ways
        if ways.mode == "eager":
            return super().work(x, y, start, step)
        handed = draw(self, self.plan, self.noise, start, step)
        if ways.whole is not None:
            x_neg, info, judged = self._called(ways.whole, step, start, x, y, handed)
            return Stepped(x, x_neg, info, self._left(judged))
        x_neg, info = None, None
        if start is not None and ways.move is not None:
            x_neg, info = self._called(ways.move, step, start, handed)
        elif start is not None:
            x_neg, info = self.move(start, step)
        if x_neg is not None and self.keeps_early:
            self.keep(x_neg, step)
        if ways.judge is None:
            return Stepped(x, x_neg, info, self.judge(x, x_neg, y, step))
        judged = self._called(ways.judge, step, x, x_neg, y, handed)
        return Stepped(x, x_neg, info, self._left(judged))

    def _left(self, judged: Judged) -> dict[str, Tensor]:
        """Leave the gradient in the parameters, as `judge` does; return the metrics."""
        for parameter, gradient in zip(self.parameters, judged.gradients, strict=True):
            parameter.grad = gradient
        return judged.metrics

    def _called(self, graph: Graph | LongWalk, step: int, *args: Any) -> Any:
        """Call a graph; when it fails, or a new trace of it differs, do the same by hand."""
        traced = graph.traced
        buffers = self.buffers and [b.clone() for b in self.buffers]
        try:
            with self.account(COMPILED), self.derivatives():
                found = graph(*args)
            if graph.traced == traced:
                return found
            why = "" if same(found, graph.function(*args)) else "its second trace differs"
        except GraphError as error:
            why = str(error)
        for buffer, before in zip(self.buffers, buffers, strict=True):
            buffer.copy_(before)
        if not why:
            return graph(*args)
        self.plan = Plan()
        self._tell({COMPILED: f"at step {step + 1}, {why}"})
        with self.account("the losses or the sampler", step + 1), self.derivatives():
            return graph.function(*args)

    def _tell(self, why: Mapping[str, str]) -> None:
        """Warn once of the parts that are left out."""
        self.left_out.update(why)
        if why:
            reasons = "; ".join(f"{part}: {text}" for part, text in why.items())
            self.warn(f"not all of the training step is compiled. {reasons}")
