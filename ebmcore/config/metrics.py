"""The metrics that a run will record, as far as its config says; others that it follows are faults.

A run records `loss`, `loss/NAME`, `loss/NAME/…`, `train/…`, `sampler/step_size`, and `NAME/…` of
each monitor. A monitor lists its names in `metrics`, or may record any. So may callbacks and hooks.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from ebmcore.config.cadence import AUTO
from ebmcore.config.model import Node
from ebmcore.plugins import Host

_OF_RUN_HOOKS = ("ebmcore_run_start", "ebmcore_checkpoint", "ebmcore_run_end")  # they get a run
_TRAIN = (
    *("steps_per_second", "energy_evaluations", "gradient_evaluations"),
    *("lr", "skipped", "energy_gap", "grad_norm"),
)


class Wanted(NamedTuple):
    """The metric of a key such as `train.keep_best`: its name, and whether more of it is better."""

    name: str
    highest: bool

    @classmethod
    def parse(cls, text: str | None) -> Wanted:
        """Read `NAME`, `min NAME` or `max NAME`."""
        first, _, rest = (text or "").strip().partition(" ")
        name = rest if first in ("min", "max") else text or ""
        return cls(name.strip(), first == "max")


class Recorded(NamedTuple):
    """The names that a run records; `*` in one stands for any text.

    Attributes:
        names: Of losses, training and monitors.
        others: Whether callbacks or hooks may record any other.
        auto: The monitors at `every: auto`, which record at other steps in each run.
    """

    names: tuple[str, ...]
    others: bool
    auto: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        losses: Iterable[Node],
        monitors: Iterable[Node],
        callbacks: Iterable[Node],
        networks: Iterable[str],
        host: Host,
    ) -> Recorded:
        """Return those of a config's parts, with the plugins that it is to be run with."""
        names = ["loss"]
        for node in losses:
            names += [f"loss/{node.name}", f"loss/{node.name}/*"]
        names += [f"train/{name}" for name in (*_TRAIN, *(f"{n}/grad_norm" for n in networks))]
        names.append("sampler/step_size")
        for node in monitors:
            declared = declared_metrics(node.target)
            names += [f"{node.name}/{name}" for name in ("*",) if declared is None]
            names += [f"{node.name}/{name}" for name in declared or ()]
        of_callbacks = [declared_metrics(node.target) for node in callbacks]
        names += [name for found in of_callbacks for name in found or ()]
        hooks = any(getattr(host.hooks.hook, hook).get_hookimpls() for hook in _OF_RUN_HOOKS)
        auto = tuple(node.name for node in monitors if node.options["every"] == AUTO)
        return cls(tuple(names), hooks or None in of_callbacks, auto)

    def and_unread(self, key: str, given: Any, read: Sequence[Node]) -> Recorded:
        """Return these, and what the entries of a section that couldn't be read may record."""
        entries = given if isinstance(given, list) else [] if given is None else [given]
        if len(entries) == len(read):
            return self
        named = [e.get("name", e.get("type")) if isinstance(e, dict) else e for e in entries]
        more = {"loss": ["loss/*"], "monitors": [f"{name}/*" for name in named]}.get(key, [])
        return self._replace(names=(*self.names, *more), others=self.others or key == "callbacks")

    def fault(self, name: str) -> str | None:
        """Return why no such metric can be followed, None where it will or may be recorded."""
        if name.partition("/")[0] in self.auto:
            return (
                f"{name!r} is recorded at `every: auto`, at steps that depend on the machine; give "
                f"the monitor {name.partition('/')[0]!r} a cadence such as '5 epochs'"
            )
        if any(fnmatchcase(name, known) for known in self.names):
            return None
        inside = name.partition("/")[0] in {known.partition("/")[0] for known in self.names}
        if self.others and not inside:
            return None
        shown = [known for known in self.names if not known.startswith("loss/")]
        near = difflib.get_close_matches(name, shown, 1) or [
            known for known in shown if known.rpartition("/")[2] == name
        ]
        hint = f" Did you mean {near[0]!r}?" if near else ""
        own = [known for known in shown if known.partition("/")[0] == name.partition("/")[0]]
        listed = own or [known for known in shown if not known.startswith(("train/", "sampler/"))]
        return (
            f"the run records no metric {name!r}.{hint} It records {', '.join(listed)}"
            f"{'' if own else ', and train/…'}"
        )


def declared_metrics(target: Any) -> Sequence[str] | None:
    """Return the names that a monitor or callback lists in `metrics`; None if it lists none."""
    return _texts(getattr(target, "metrics", None))


def followed(node: Node) -> Mapping[str, str]:
    """Return the keys of a callback in its `follows`, which name metrics, with their values."""
    keys = _texts(getattr(node.target, "follows", None)) or ()
    found = {key: node.values.get(key) for key in keys}
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _texts(given: Any) -> Sequence[str] | None:
    """Return a tuple or list of texts; None for anything else, as an attribute of their own."""
    is_list = isinstance(given, tuple | list) and all(isinstance(name, str) for name in given)
    return given if is_list else None
