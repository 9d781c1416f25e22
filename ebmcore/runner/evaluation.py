"""Looking at a finished run: monitors on its trained energy, its data and fresh samples."""

from __future__ import annotations

import json
import math
import shutil
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ebmcore.config import build, read_nodes
from ebmcore.errors import ComponentError, EbmError, PluginError
from ebmcore.runner.compose import Slots, monitor_entry
from ebmcore.runner.data import Data
from ebmcore.runner.parts import MonitorEntry
from ebmcore.runner.recorded import Facts, Recorded
from ebmcore.runner.streams import derive, own_global_stream
from ebmcore.runner.view import make_view
from ebmcore.runner.watch import keep
from ebmcore.sampling import evaluating

FOLDER = "evaluation"


class Evaluation(NamedTuple):
    """What the monitors found, and where their pictures are."""

    run_dir: Path
    step: int
    metrics: dict[str, float]  # <monitor>/<metric>
    figures: list[Path]
    warnings: list[str]
    failed: dict[str, str]  # monitor -> why
    left_out: dict[str, str]  # monitor -> why it has nothing to say of this run

    def document(self) -> dict[str, Any]:
        """Return the same as JSON types."""
        numbers = {k: v if math.isfinite(v) else str(v) for k, v in self.metrics.items()}
        figures = [str(figure) for figure in self.figures]
        fixed = {"run_dir": str(self.run_dir), "metrics": numbers, "figures": figures}
        return {**self._asdict(), **fixed}


def evaluate(
    run_dir: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    plugins: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
) -> Evaluation:
    """Run monitors on a finished run, and write what they find to `RUN_DIR/evaluation/`.

    Args:
        run_dir: The run's directory; the run was made from a config.
        overrides: Dotted keys over the recorded config. `monitors` says which to run, by default
            every installed one that is meant for it (`evaluates = True`) and takes such events;
            `sampler` and `chains` draw the samples in place of the run's own.
        plugins: As `ebmcore run -p` takes them; local files of the run are imported only if named.
        seed: The same seed draws the same samples.
        device: Where to compute.

    Raises EbmError when the directory is no run, or was made of objects; ConfigError, PluginError.
    """
    facts = Facts.read(run_dir, device)
    if not facts.run["from_config"]:
        raise EbmError(f"{facts.folder}: made of objects; only runs of a config can be evaluated")
    recorded = Recorded(facts, plugins, overrides)
    data, energy = recorded.data(), recorded.energy()
    sampler, chains = recorded.sampler(), recorded.chains()
    entries, left_out = _entries(recorded, data)
    beside = facts.folder / f".{FOLDER}.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    metrics: dict[str, float] = {}
    warnings: list[str] = []
    failed: dict[str, str] = {}
    step = facts.checkpoint.step
    epoch = step / max(1, len(data.x) // recorded.source.tree["train"]["batch_size"])
    for entry in entries:

        def warn(text: str, name: str = entry.name) -> None:
            warnings.append(f"{name}: {text}")

        generator = recorded.streams(f"evaluate {entry.name} {seed}")
        view = make_view(
            energy, data, sampler, chains, generator, step=step, epoch=epoch, warn=warn
        )
        try:
            with (
                own_global_stream(derive(seed, entry.name), facts.device),
                evaluating(energy),
            ):
                metrics |= keep(entry, entry.function(view), step, beside)
        except (Exception, SystemExit) as error:
            failed[entry.name] = str(ComponentError(entry.label, step, error))
            with (beside / "log.txt").open("a", encoding="utf-8") as log:
                log.write(f"{failed[entry.name]}\n{traceback.format_exc()}\n")
    place = facts.folder / FOLDER
    figures = [place / file.relative_to(beside) for file in sorted(beside.glob("*/*.png"))]
    found = Evaluation(facts.folder, step, metrics, figures, warnings, failed, left_out)
    (beside / "evaluation.json").write_text(json.dumps(found.document(), indent=2) + "\n")
    shutil.rmtree(place, ignore_errors=True)
    beside.rename(place)
    return found


def _entries(recorded: Recorded, data: Data) -> tuple[list[MonitorEntry], dict[str, str]]:
    """Build the monitors to run; say which of those meant for it can't take these events."""
    asked = any(key.split(".")[0] == "monitors" for key in recorded.overrides)
    source = (
        recorded.source
        if asked
        else recorded.source._replace(
            tree={**recorded.source.tree, "monitors": _meant_for_it(recorded)}
        )
    )
    nodes = recorded.told_of_files(lambda: read_nodes(source, recorded.host, "monitor"))
    entries: list[MonitorEntry] = []
    left_out: dict[str, str] = {}
    for node in nodes:
        purpose = f"build {node.kind} {node.name}"
        entry = monitor_entry(node, build(node, Slots(recorded.streams, purpose, **recorded.slots)))
        try:
            getattr(entry.function, "check", lambda shape: None)(data.event_shape)
        except ValueError as error:
            if asked:
                raise EbmError(f"{node.path}: {error}") from error
            left_out[entry.name] = str(error)
        else:
            entries.append(entry)
    return entries, left_out


def _meant_for_it(recorded: Recorded) -> list[dict[str, str]]:
    """List the installed monitors that say `evaluates = True`."""
    found = []
    for component in recorded.host.components("monitor"):
        try:
            target = component.load()
        except PluginError:
            continue
        if getattr(target, "evaluates", False):
            found.append({"type": component.full_name})
    return found
