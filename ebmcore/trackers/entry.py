"""The trackers of a run: each under its name, with what a config says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from ebmcore.config import Node, Tracking, build
from ebmcore.contracts import BUILD_SLOTS
from ebmcore.errors import ConfigError, Problem
from ebmcore.service_contracts import Tracker
from ebmcore.trackers.mlflow.tracker import MLflow

MLFLOW = "mlflow"


class TrackerEntry(NamedTuple):
    """One tracker of a run."""

    name: str  # in run.json and in messages
    tracker: Tracker
    record: Mapping[str, Any]  # its node as plain values, every default filled in

    @property
    def label(self) -> str:
        """Its name in messages."""
        return "MLflow" if self.name == MLFLOW else self.name


Trackers = tuple[TrackerEntry, ...]  # empty: the run is sent nowhere
TrackingArgument = Tracking | Tracker | Node | str | bool | None | Sequence[Any]


def as_trackers(tracking: TrackingArgument | TrackerEntry) -> Trackers:
    """Return the trackers that an argument means.

    None is MLflow, "off" and False are none, another text is the URI of MLflow. Raises ConfigError
    when a tracker refuses its values or two have one name.
    """
    if isinstance(tracking, str) and tracking != "off":
        tracking = Tracking(uri=tracking)
    if isinstance(tracking, (list, tuple)) and not isinstance(tracking, (Node, TrackerEntry)):
        entries = tuple(entry for item in tracking for entry in as_trackers(item))
        names = [entry.name for entry in entries]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ConfigError([Problem("tracking", f"{twice!r} stands twice; name it once")])
        return entries
    return () if tracking in ("off", False) else (_entry(tracking),)


def described_trackers(trackers: Trackers) -> Any:
    """Return the `tracking` section of a config that means these trackers."""
    if not trackers:
        return "off"
    if [entry.name for entry in trackers] == [MLFLOW]:
        return {key: value for key, value in trackers[0].record.items() if key != "type"}
    return [dict(entry.record) for entry in trackers]


def _entry(tracking: Any) -> TrackerEntry:
    if isinstance(tracking, TrackerEntry):
        return tracking
    if isinstance(tracking, Node):
        made = build(tracking, dict.fromkeys(BUILD_SLOTS))
        if not isinstance(made, Tracker):
            message = f"{tracking.type} makes {type(made).__name__}, not an ebmcore.Tracker"
            raise ConfigError([Problem(tracking.path, message, tracking.where)])
        if (tracking.name == MLFLOW) != isinstance(made, MLflow):
            message = f"run.json has {MLFLOW!r} for MLflow alone; got {tracking.name!r}"
            raise ConfigError([Problem(f"{tracking.path}.name", message, tracking.where)])
        return TrackerEntry(tracking.name, made, tracking.record)
    if isinstance(tracking, Tracker):
        name = type(tracking).__name__.lower()
        origin = f"{type(tracking).__module__}.{type(tracking).__qualname__}"
        return TrackerEntry(name, tracking, {"type": name, "made_of_objects": origin})
    if isinstance(tracking, Tracking) or tracking is None or tracking is True:
        section = tracking if isinstance(tracking, Tracking) else Tracking()
        keys = asdict(section)
        return TrackerEntry(MLFLOW, MLflow(**keys), {"type": MLFLOW, **keys})
    message = f"should be a tracker, 'off', or a list of trackers; got {tracking!r:.80}"
    raise ConfigError([Problem("tracking", message)])
