"""The core's own keys of a node, besides those of the component's signature."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Lt

from ebmcore.config.cadence import AUTO, OWN, Cadence
from ebmcore.config.optimizers import keys_of, needs_argument
from ebmcore.config.sections import Loader
from ebmcore.config.values.models import Check
from ebmcore.config.values.signature import REQUIRED, Parameter
from ebmcore.contracts import Transform
from ebmcore.spaces import as_space
from ebmcore.types import PositiveInt


def _cadence(text: str) -> str:
    if text != AUTO:
        Cadence.parse(text)
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"\w[\w. -]*", text):
        raise ValueError("should be letters, digits, '_', '-', '.' and spaces, as a folder's name")
    return text


def _space(given: Any) -> Any:
    as_space(given)
    return given


_NAME = Parameter(
    "name", Annotated[str, Check(_name)] | None, None, "The name in metrics; by default the type."
)
_EVERY = Parameter(
    "every",
    Annotated[str, Check(_cadence)],
    OWN,
    "How often: '20 epochs', '500 steps' or 'end'; 'auto' is the monitor's default, put off while "
    "it has taken over 2 % of the run's time; and always at the end.",
)
_RESERVED: dict[str, tuple[Parameter, ...]] = {
    "sampler": (
        Parameter("n_steps", PositiveInt, 10, "Steps of the kernel for each training step."),
    ),
    "dataset": (
        Parameter("holdout", Annotated[float, Ge(0), Lt(1)], 0.1, "Share of the points set aside."),
        Parameter("stratify", bool, False, "Set aside that share of the points of each label."),
        Parameter(
            "space",
            Annotated[str | dict[str, Any], Check(_space)] | None,
            None,
            "The set that events live in: real, binary, {type: categorical, k: 5} or {mixed: "
            "[real, binary]}; by default the dataset's own, or else real.",
        ),
        Parameter(
            "transform",
            Transform | list[Transform] | None,
            None,
            "Transforms of the events, fitted on the training rows: one, or a list in order.",
        ),
        Parameter(
            "loader",
            Loader | None,
            None,
            "Reads the rows of each batch when it is needed: {workers: 2, prefetch: 2}; by default "
            "all rows are read into memory.",
        ),
    ),
    "loss": (
        Parameter("weight", float, 1.0, "Factor of this loss in the sum."),
        _NAME,
        Parameter(
            "trains",
            str | list[str] | None,
            None,
            "Which of energy and the networks it trains; by default what the loss says, or energy.",
        ),
    ),
    "monitor": (_EVERY, _NAME),
    "callback": (_NAME._replace(description="Its name in messages; by default the type."),),
    "tracker": (_NAME._replace(description="The name in run.json; by default the type."),),
}
_INTERVAL = Parameter(
    "interval",
    Literal["epoch", "step"],
    "epoch",
    "What one step of the schedule is: an epoch or a training step.",
)
_METRIC = Parameter(
    "metric",
    str,
    REQUIRED,
    "The metric that the schedule follows; it takes a step whenever the metric is recorded.",
)


def reserved(kind: str, target: Any = None) -> tuple[Parameter, ...]:
    """List the core's own keys of a node; a monitor may set the default of its `every`."""
    if kind == "lr_scheduler":
        return _schedule_keys(target)
    keys = _RESERVED.get(kind, ())
    return tuple(
        key._replace(default=getattr(target, "every", key.default)) if key is _EVERY else key
        for key in keys
    )


def _schedule_keys(target: Any) -> tuple[Parameter, ...]:
    if inspect.isclass(target):
        return (_METRIC,) if needs_argument(target) else (_INTERVAL,)
    return (_INTERVAL, _METRIC._replace(annotation=str | None, default=None))


def clashes(kind: str, target: Any, *, inner: bool = False) -> set[str]:
    """List the parameters that no config can set, since the core has a key of the same name.

    A component inside another one has only the core's key `type`.
    """
    own = () if inner else reserved(kind, target)
    return {"type", *(p.name for p in own)} & {p.name for p in keys_of(kind, target)}


def wrong_options(
    name: str, values: dict[str, Any], own: Sequence[Parameter]
) -> tuple[tuple[str, str], ...]:
    """Describe a bad default that a component sets for one of the core's own keys."""
    defaults = [key.default for key in own if key.name == "every"]
    for default in defaults:
        try:
            Cadence.of_monitor(values["every"], default)
        except ValueError as error:
            got = default if values["every"] == AUTO else values["every"]
            return (("every", f"the own `every` of {name} {error}; got {got!r}"),)
    return ()
