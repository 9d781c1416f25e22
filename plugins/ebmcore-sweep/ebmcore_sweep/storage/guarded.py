"""Optuna's storages, guarded: each error is one message, each trial is checked before use.

A database may be damaged, or hold what somebody else put there. Optuna then
lets through the errors of its libraries, of any class, in any call and any thread.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import FunctionType
from typing import TYPE_CHECKING, Any

from ebmcore import EbmError
from ebmcore.masking import mask
from ebmcore_sweep.search.definition import Sweep

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

FAILED_TRIAL = "failed_trial"  # system attributes of a trial that is tried again, as Optuna's own
RETRY_HISTORY = "retry_history"
_TEXTS = ("worker", "run_dir", "error")  # user attributes of a trial
_DAMAGED = ("malformed", "not a database", "disk image")
_TEXT = 300  # characters of what another library says


class StorageError(EbmError):
    """A sweep's storage can't be read or written, or holds what no sweep puts there."""


def one_message(url: str, error: BaseException, what: str) -> str:
    """Return one line that says what failed in a storage, and what to do."""
    root: BaseException = error
    while True:  # Optuna and SQLAlchemy each wrap what the driver raised
        inner = getattr(root, "orig", None) or root.__cause__
        if not isinstance(inner, BaseException):
            break
        root = inner
    text = " ".join(mask(str(root)).replace(url, mask(url)).split())[:_TEXT]
    found = f"storage {mask(url)}: {what}: {type(root).__name__}: {text}"
    if any(word in text for word in _DAMAGED):
        return (
            f"{found}. It is damaged: set it aside and the sweep begins anew, or mend it (sqlite's "
            "own program has `.recover`); the runs are whole"
        )
    if "locked" in text:
        return f"{found}. Another process holds it; the same command goes on when that has ended"
    return f"{found}. When that is mended, the same command goes on"


def guarded(base: type[Any], url: str) -> type[Any]:
    """Make a subclass of a storage of Optuna's, each call of which raises StorageError or nothing.

    But for what Optuna itself means by an exception: that a study is there, or that a trial has
    ended. Every trial that a call returns has passed its `check`, when it has been given one.
    """
    inside = threading.local()  # the calls that a call makes keep what they raise

    def guard(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if getattr(inside, "on", False):
                return method(self, *args, **kwargs)
            inside.on = True
            try:
                return _checked(method(self, *args, **kwargs), self.check)
            except Exception as error:
                if isinstance(error, (EbmError, *_meant())):
                    raise
                raise StorageError(one_message(url, error, "can't be used")) from error
            finally:
                inside.on = False

        return call

    methods = {
        name: guard(found)
        for kind in reversed(base.__mro__)
        for name, found in vars(kind).items()
        if isinstance(found, FunctionType) and not name.startswith("__")
    }
    beat = methods.get("record_heartbeat")
    if beat is not None:
        methods["record_heartbeat"] = _beating(beat)
    return type(base.__name__, (base,), {**methods, "check": None})


def _meant() -> tuple[type[Exception], ...]:
    from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError

    return DuplicatedStudyError, UpdateFinishedTrialError


def _beating(beat: Callable[..., Any]) -> Callable[..., Any]:
    """Ignore a heartbeat that fails: the next may succeed, and the next call raises."""

    @functools.wraps(beat)
    def call(self: Any, trial_id: int) -> None:
        with suppress(EbmError):
            beat(self, trial_id)

    return call


def _checked(found: Any, check: Callable[[FrozenTrial], None] | None) -> Any:
    if check is not None:
        for trial in _trials(found):
            check(trial)
    return found


def _trials(found: Any) -> Iterator[FrozenTrial]:
    from optuna.trial import FrozenTrial

    for item in found if isinstance(found, list) else (found,):
        if isinstance(item, FrozenTrial):
            yield item


def trial_check(sweep: Sweep, url: str) -> Callable[[FrozenTrial], None]:
    """Return a function that raises StorageError for a trial that no worker can have left."""
    distributions = sweep.space.distributions

    def check(trial: FrozenTrial) -> None:
        why = _odd(trial, sweep, distributions)
        if why:
            raise StorageError(
                f"storage {mask(url)}: trial {trial.number!r:.20} of {sweep.name!r:.80} is none of "
                f"this sweep's: {why}. Begin the sweep anew under another `name`"
            )

    return check


def _odd(trial: FrozenTrial, sweep: Sweep, distributions: Mapping[str, Any]) -> str:
    """Return the fault of a trial that no worker can have left."""
    for key, found in trial.distributions.items():
        if key not in distributions:
            return f"its {key!r:.80} is not in the space"
        if found != distributions[key]:
            return f"its {key!r:.80} has another range"
    judged = trial.state.name in ("COMPLETE", "PRUNED")  # any other may fail for its value
    for key, value in trial.params.items():
        known = key in trial.distributions
        if not known or (judged and not sweep.space.ranges[key].holds(value)):
            return f"its {key!r:.80} is {value!r:.80}, which is not in the space"
    values = trial.values
    if values is not None and (len(values) != 1 or not _is_finite(values[0])):
        return f"its value is {values!r:.80}"
    if values is None and trial.state.name == "COMPLETE":
        return "it is complete and has no value"
    for step, value in trial.intermediate_values.items():
        if not _is_count(step, 2**62) or not isinstance(value, (int, float)):
            return f"its value at step {step!r:.40} is {value!r:.80}"
    return _odd_attributes(trial)


def _odd_attributes(trial: FrozenTrial) -> str:
    if not isinstance(trial.user_attrs, dict) or not isinstance(trial.system_attrs, dict):
        return "its attributes are no mapping"
    for name in _TEXTS:
        if not isinstance(trial.user_attrs.get(name, ""), str):
            return f"its {name!r} is {trial.user_attrs[name]!r:.80}"
    first = trial.system_attrs.get(FAILED_TRIAL, 0)
    if not _is_count(first, trial.number):
        return f"it is trial {first!r:.80} tried again"
    history = trial.system_attrs.get(RETRY_HISTORY, [])
    if not isinstance(history, list) or not all(_is_count(n, trial.number - 1) for n in history):
        return f"its earlier tries are {history!r:.80}"
    return ""


def _is_count(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
