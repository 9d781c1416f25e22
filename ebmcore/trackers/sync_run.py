"""Bring the trackers up to date with a run directory, after the run: `ebmcore runs sync`."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ebmcore.config import Source, read_trackers
from ebmcore.errors import EbmError
from ebmcore.masking import mask
from ebmcore.plugins import Host, Selection
from ebmcore.runs.directory import RunDirectory, read_recorded
from ebmcore.runs.status import Account
from ebmcore.trackers.entry import MLFLOW, TrackerEntry, as_trackers
from ebmcore.trackers.follower import begin_tracker
from ebmcore.trackers.keys import mlflow_keys, other_trackers
from ebmcore.trackers.mlflow.sync import to_mlflow
from ebmcore.trackers.mlflow.uris import whole_uri
from ebmcore.trackers.sender import Sender, first_line
from ebmcore.trackers.state import record, recorded
from ebmcore.trackers.synced import Synced, send_rest, with_ended_run
from ebmcore.trackers.tags import tracked_run


def sync(
    run_dir: str | Path,
    *,
    uri: str | None = None,
    tracker: Any = None,
    plugins: Sequence[str] = (),
    again: bool = False,
    silent: Collection[str] = (),
) -> list[Synced]:
    """Send each of a run's trackers what it lacks; a run whose process is gone becomes KILLED.

    Args:
        run_dir: The run's directory; nothing in it is trusted, and no link in it is followed.
        uri: An MLflow to send to; by default the run's own, if the user's own installation wrote
            that or the environment names the same place.
        tracker: A tracker to send to instead, as a config names one; the user's word for it.
        plugins: Names or local files, as `ebmcore run -p` takes them.
        again: Whether to ask a tracker even if the run is recorded as complete.
        silent: Places of MLflow not to try, since they just gave no answer.

    Raises EbmError when the directory is no run, it is unclear which file `uri` means, or there is
    no such tracker.
    """
    uri = None if uri is None else whole_uri(uri)
    mine = () if tracker is None else _entries(Source({"tracking": tracker}), plugins)

    def send(directory: RunDirectory, account: Account) -> list[Synced]:
        if mine:
            return [_send(directory, account, entry, named=True, again=True) for entry in mine]
        written = _written(account)
        found = []
        if uri is not None or MLFLOW in account.facts or mlflow_keys(written) is not None:
            found.append(to_mlflow(directory, account, uri, silent, again=again))
        if uri is None:
            found += _others(directory, account, written, plugins, again=again)
        off = "its tracking is off; --uri says where to send it"
        return found or [Synced(account.path, "skipped", off)]

    return with_ended_run(run_dir, send)


def _others(
    directory: RunDirectory, account: Account, written: Any, plugins: Sequence[str], *, again: bool
) -> list[Synced]:
    """Send the trackers besides MLflow that the run's config names."""
    found = []
    for node in other_trackers(written):
        name = _name(node)
        try:
            (entry,) = _entries(Source({"tracking": node}), plugins)
            found.append(_send(directory, account, entry, named=False, again=again))
        except Exception as error:  # also what a plugin raises
            why = mask(str(error) if isinstance(error, EbmError) else first_line(error))
            note = f"nothing is sent: {why.partition(chr(10))[0]}"
            found.append(Synced(account.path, "behind", note, tracker=name))
    return found


def _send(
    directory: RunDirectory, account: Account, entry: TrackerEntry, *, named: bool, again: bool
) -> Synced:
    path, name = account.path, entry.name
    state = recorded(account.facts, name).get("state")
    if state == "complete" and account.recorded != "RUNNING" and not again:
        return Synced(path, "already there", tracker=name)
    config = read_recorded(path).tree if (path / "config.yaml").exists() else {}
    run = tracked_run(directory, account.facts, config=config, live=False, named=named)
    try:
        run = begin_tracker(entry, run, directory)
    except EbmError as error:
        way = f"(or name it by --tracker {name})"
        return Synced(path, "behind", f"nothing is sent: {error} {way}", tracker=name)
    sender = Sender(run, entry.tracker)
    began = time.monotonic()
    problem = send_rest(sender, account)
    record(directory, entry, "behind" if problem or sender.kept else "complete")
    refused = sender.refused
    text = f"{name} refused {len(refused)} of it, such as {refused[0]}" if refused else ""
    note = "; ".join(filter(None, (*entry.tracker.notes, problem or sender.kept or text)))
    answered = problem is None or sender.last_answer > began
    place = str(entry.tracker.place) or None
    done = problem is None and sender.kept is None
    return Synced(path, "sent" if done else "behind", note, place, answered=answered, tracker=name)


def _entries(source: Source, plugins: Sequence[str]) -> tuple[TrackerEntry, ...]:
    selection = Selection.from_options(plugins)
    host = Host.discover(selection)
    host.check(selection)
    return as_trackers(read_trackers(source, host))


def _written(account: Account) -> Any:
    """Return `tracking` as the run's config has it; None, MLflow's, when it can't be read."""
    try:
        return read_recorded(account.path).tree.get("tracking", "off")
    except (EbmError, ValueError, RecursionError):
        return None


def _name(node: Any) -> str:
    found = node.get("name") or node.get("type") if isinstance(node, Mapping) else node
    return str(found)
