"""Measures of a run's work: seconds by part, steps per second, evaluations of the energy."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from types import FunctionType, TracebackType
from typing import Any

from torch import Tensor, nn

from ebmcore.errors import ComponentError, EbmError


class Timing:
    """Seconds of the host's clock by part, each named as in messages, with its plugin.

    On an accelerator the host runs ahead of the device and waits for it where it fetches metrics.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, part: str, step: int | None = None) -> Span:
        """Return a context that adds its time to the part's.

        With a step, counted from 1, an error inside becomes a ComponentError that names part and
        step.
        """
        return Span(self.seconds, part, step)

    def table(self, more: Mapping[str, float]) -> dict[str, float]:
        """Return the seconds by part, with `more` rows, in descending order."""
        rows = sorted({**self.seconds, **more}.items(), key=lambda row: -row[1])
        return {part: round(seconds, 3) for part, seconds in rows}


class Span:
    """The time from entry to exit, added to one part."""

    __slots__ = ("began", "part", "seconds", "step")

    def __init__(self, seconds: dict[str, float], part: str, step: int | None) -> None:
        self.seconds = seconds
        self.part = part
        self.step = step
        self.began = 0.0

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        spent = time.perf_counter() - self.began
        self.seconds[self.part] = self.seconds.get(self.part, 0.0) + spent
        ours = error is None or isinstance(error, EbmError) or self.step is None
        if not ours and isinstance(error, Exception | SystemExit):
            raise ComponentError(self.part, self.step or 0, error) from error


class StepRate:
    """Training steps per second, without the time that monitors and checkpoints take."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Measure from now."""
        self._began = time.perf_counter()

    def exclude(self, seconds: float) -> None:
        """Leave out seconds that passed beside the steps."""
        self._began += seconds

    def per_second(self, steps: int) -> float:
        """Return the rate of the steps taken since the start."""
        return steps / (time.perf_counter() - self._began)


class Evaluations:
    """Counts the evaluations of a run's energy and of the energy's gradient, in events.

    E of one event is one evaluation; one backward pass from one event's energy, to x or to the
    parameters, is one of the gradient. Calls of the energy's other methods count alike, such as
    `energy.logits(x)`, when their first argument is a batch; calls inside of calls don't. The calls
    of the first step of each logging interval are counted and assumed for all of its steps. Those
    of monitors are not counted.
    """

    def __init__(self, energy: nn.Module, every: int) -> None:
        self.energy = energy
        self.every = every
        self.totals = {"energy": 0, "gradient": 0}
        self.each: Counter[str] = Counter()  # in one step

    def due(self, step: int) -> bool:
        """Whether the calls of the next step, after `step` steps, are counted."""
        return step % self.every == 0 or not self.each

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the calls inside this context as those of one step."""
        calls = _Calls(self.energy)
        hooks = (
            self.energy.register_forward_pre_hook(calls.enter),
            self.energy.register_forward_hook(calls.leave, always_call=True),
        )
        methods = list(_methods(type(self.energy)))
        try:
            for owner, name, method in methods:
                setattr(owner, name, calls.counted(method))
            yield
        finally:
            for owner, name, method in methods:
                setattr(owner, name, method)
            for hook in hooks:
                hook.remove()
        self.each = calls.found

    def add_step(self) -> None:
        """Add the evaluations of one step."""
        for name in self.totals:
            self.totals[name] += self.each[name]

    def metrics(self) -> dict[str, float]:
        """Return the evaluations so far."""
        return {f"train/{name}_evaluations": float(n) for name, n in self.totals.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {"totals": dict(self.totals), "each": dict(self.each)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the counts that `state_dict` returned."""
        self.totals = {name: int(n) for name, n in state["totals"].items()}
        self.each = Counter({name: int(n) for name, n in state["each"].items()})


class _Calls:
    """The counted calls of one energy."""

    def __init__(self, energy: nn.Module) -> None:
        self.energy = energy
        self.found: Counter[str] = Counter()
        self.depth = 0  # of the call, when one method calls another

    def enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self.depth += 1

    def leave(self, module: nn.Module, args: tuple[Any, ...], values: Any) -> None:
        self.depth -= 1
        if isinstance(values, Tensor) and values.ndim:
            self.count(values, len(values))

    def count(self, values: Any, events: int) -> None:
        if self.depth:
            return
        self.found["energy"] += events
        if isinstance(values, Tensor) and values.requires_grad:
            values.register_hook(  # type: ignore[no-untyped-call] # torch's own
                lambda gradient: self.found.update(gradient=events)
            )

    def counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method that counts its calls on this energy with a batch."""

        @wraps(method)
        def call(energy: nn.Module, *args: Any, **named: Any) -> Any:
            batch = args[0] if args else None
            if energy is not self.energy or not isinstance(batch, Tensor) or not batch.ndim:
                return method(energy, *args, **named)
            self.depth += 1
            try:
                values = method(energy, *args, **named)
            finally:
                self.depth -= 1
            self.count(values, len(batch))
            return values

        return call


def _methods(kind: type[nn.Module]) -> Iterator[tuple[type, str, Callable[..., Any]]]:
    """Yield the public methods that an energy's own classes define, each with its class."""
    for owner in kind.__mro__:
        if issubclass(owner, nn.Module) and not owner.__module__.startswith("torch."):
            for name, value in vars(owner).items():
                if isinstance(value, FunctionType) and name != "forward" and name[0] != "_":
                    yield owner, name, value
