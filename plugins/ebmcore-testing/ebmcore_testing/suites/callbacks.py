"""The suite of callbacks: they act on a run at its events, and decide the same after a resume.

They are called with the events of a run whose metrics fall and then rise. What a callback, or its
suite, may declare beside what `suite.py` lists:

    check_history   pairs (step, metrics), recorded one after the other; by default `loss` and each
                    metric that a key ending with `metric` names
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ebmcore.config import callback_events
from ebmcore_testing.failures import require
from ebmcore_testing.measures.observed import (
    module_untouched,
    require_plain,
    same_state,
    streams_untouched,
)
from ebmcore_testing.measures.tried_run import Request, TriedRun
from ebmcore_testing.suites.suite import Suite

_RECORDS = 40
_STATE = ("state_dict", "load_state_dict")
History = Sequence[tuple[int, Mapping[str, float]]]


class CallbackSuite(Suite):
    """The checks of a callback."""

    kind = "callback"

    def history(self) -> History:
        """Return the metrics that are recorded, each with its step."""
        own = self.declared("check_history")
        if own is not None:
            return list(own)
        params = {**(self.declared("check_params") or {}), **self.params}
        metrics = [v for k, v in params.items() if k.endswith("metric") and isinstance(v, str)]
        values = [(n - _RECORDS / 4) ** 2 / 100 - 0.5 for n in range(_RECORDS)]
        names = dict.fromkeys(["loss", "train/lr", *metrics])
        return [(5 * (n + 1), dict.fromkeys(names, value)) for n, value in enumerate(values)]

    def call(self, callback: Any, event: str, run: TriedRun, *arguments: Any) -> None:
        """Call a callback at an event, if it has a method for it."""
        if event in callback_events(callback):
            getattr(callback, event)(run, *arguments)

    def live(self, callback: Any, run: TriedRun, history: History, *, started: int = 0) -> None:
        """Call the callback through a part of a run: each record, and a checkpoint after it."""
        run.step = started
        self.call(callback, "on_start", run)
        for step, metrics in history:
            run.step = step
            self.call(callback, "on_step", run, step)
            run.metrics |= metrics
            self.call(callback, "on_metrics", run, step, dict(metrics))
            self.call(callback, "on_checkpoint", run, run.dir / f"step-{step:08d}")

    def test_methods(self) -> None:
        """Each `on_…` is an event with its arguments; the state has both methods or neither."""
        callback = self.build()
        wrong = ""
        try:
            callback_events(callback)
        except TypeError as error:
            wrong = str(error)
        require(
            not wrong,
            "methods",
            expected="methods of `ebmcore.Callback`, one or more, with its arguments",
            measured=f"it {wrong}",
            allowed="on_start, on_step, on_metrics, on_checkpoint, on_error, on_end",
            cause="a name that is misspelt, so that nothing ever calls it",
        )
        there = [name for name in _STATE if hasattr(callback, name)]
        require(
            len(there) != 1,
            "methods",
            expected="state_dict and load_state_dict, or neither",
            measured=f"{', '.join(there)} alone",
            allowed="both or none",
            cause="a state that is saved and never restored",
        )

    def test_events(self) -> None:
        """It bears every event, also NaN, an end without a record, and a start after a resume."""
        history = self.history()
        nothing: History = [(5, {"other": math.nan})]
        infinite = [(step, dict.fromkeys(m, math.inf)) for step, m in history[:2]]
        undefined = [(step, dict.fromkeys(m, math.nan)) for step, m in history]
        for records, status in (
            ([], "KILLED"),
            (nothing, "FINISHED"),
            ([*infinite, *undefined], "FAILED"),
            (history, "FINISHED"),
        ):
            with TemporaryDirectory() as folder:
                callback, run = self.build(), TriedRun(Path(folder), self.shapes()[0])
                self.live(callback, run, records)
                if status == "FAILED":
                    self.call(callback, "on_error", run, ValueError("a failure of the run"))
                run.status = status
                self.call(callback, "on_end", run, status)

    def test_state_round_trip(self) -> None:
        """Its state is of tensors and JSON types, stays as it was saved, and is restored whole."""
        history = self.history()
        part = max(1, len(history) // 8)
        with TemporaryDirectory() as folder:
            callback, run = self.build(), TriedRun(Path(folder), self.shapes()[0])
            self.live(callback, run, history[:part])
            state = _state(callback)
            require_plain("state_round_trip", state)
            saved = copy.deepcopy(state)
            self.live(callback, run, history[part:])
            require(
                same_state(state, saved),
                "state_round_trip",
                expected="a saved state stays as it was",
                measured="later events changed it",
                allowed="no difference",
                cause="state_dict returns the callback's own list or dict: return a copy",
            )
            other, last = self.build(), _state(callback)
            if last:
                other.load_state_dict(copy.deepcopy(last))
            require(
                same_state(_state(other), last),
                "state_round_trip",
                expected="state_dict() after load_state_dict(state) is that state",
                measured="it differs",
                allowed="no difference",
                cause="a field that load_state_dict leaves out",
            )

    def test_resumes(self) -> None:
        """Resumed at any checkpoint, it makes the same requests as if it had never stopped."""
        history = self.history()
        whole = self._requests(history)
        for cut in range(0, len(history), max(1, len(history) // 8)):
            found = self._requests(history, cut)
            require(
                found == whole,
                "resumes",
                expected="the same metrics, files and stops after a resume",
                measured=f"resumed after {cut} records, {_difference(whole, found)}",
                allowed="no difference",
                cause="a count or a best value that state_dict leaves out, a clock, or a draw; for "
                "a callback that measures time, expect the failure",
            )

    def test_model_untouched(self) -> None:
        """No weight, gradient or mode of the energy changes."""
        with TemporaryDirectory() as folder:
            callback, run = self.build(), TriedRun(Path(folder), self.shapes()[0])
            cause = "run.energy.eval() or train(), a backward(), or a write to a parameter"
            with module_untouched("model_untouched", run.energy, cause):
                self.live(callback, run, self.history())
                self.call(callback, "on_end", run, "FINISHED")

    def test_streams_untouched(self) -> None:
        """It draws from no global stream."""
        with TemporaryDirectory() as folder:
            callback, run = self.build(), TriedRun(Path(folder), self.shapes()[0])
            with streams_untouched("streams_untouched"):
                self.live(callback, run, self.history())
                self.call(callback, "on_end", run, "FINISHED")

    def _requests(self, history: History, cut: int | None = None) -> list[Request]:
        """Return the callback's requests at records, where `cut` resumes with another object."""
        with TemporaryDirectory() as folder:
            callback, run = self.build(), TriedRun(Path(folder), self.shapes()[0])
            self.live(callback, run, history[:cut])
            if cut is not None:
                state, started = copy.deepcopy(_state(callback)), run.step
                callback = self.build()
                if state:
                    callback.load_state_dict(state)
                self.live(callback, run, history[cut:], started=started)
            first = {(r.method, r.step, r.name): r for r in reversed(run.requests)}
            return list(reversed(first.values()))


def _state(callback: Any) -> dict[str, Any]:
    """Return the callback's state, empty when it has none."""
    if not all(hasattr(callback, name) for name in _STATE):
        return {}
    return dict(callback.state_dict())


def _difference(whole: list[Request], found: list[Request]) -> str:
    lost = [r for r in whole if r not in found]
    added = [r for r in found if r not in whole]
    texts = [f"without {lost[0].method} at step {lost[0].step}"] if lost else []
    texts += [f"with {added[0].method} at step {added[0].step}"] if added else []
    return "it went on " + (" and ".join(texts) or "in another order")
