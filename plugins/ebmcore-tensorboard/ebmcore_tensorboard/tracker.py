"""A run directory in TensorBoard: scalars, figures and the config, in event files beside it."""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ebmcore import EbmError, Point, TrackedRun, Tracker
from ebmcore_tensorboard.events import EventFile, event, read_events

_FOLDER = "tensorboard"  # in the run directory
_FIGURE = re.compile(r"(?:(.+)-)?step-(\d+)\.png")
_PNG = b"\x89PNG\r\n\x1a\n"


class TensorBoard(Tracker):
    """Event files of a run for TensorBoard: `tensorboard --logdir runs`.

    Metrics are scalars at their steps and times, figures of monitors are images, and the config,
    the events and the status are texts. A run that is resumed goes on in a new file.

    Args:
        log_dir: The folder in which each run gets a folder of its name; a relative one is below the
            current folder. By default the files are in the run directory, in `tensorboard`.
    """

    def __init__(self, *, log_dir: str | None = None) -> None:
        self.log_dir = log_dir
        self._file: EventFile | None = None
        self._steps: defaultdict[str, set[int]] = defaultdict(set)
        self._images: set[tuple[str, int]] = set()
        self._texts: set[tuple[str, int]] = set()

    def begin(self, run: TrackedRun) -> None:
        """Choose the folder. Raises EbmError when a link leads out of the run directory."""
        super().begin(run)
        if self.log_dir is None:
            self.folder = run.dir.absolute() / _FOLDER
            self._refuse_link()
        else:
            self.folder = Path(self.log_dir).expanduser().absolute() / run.dir.name
        self.place = str(self.folder)

    def open(self) -> bool:
        """Begin a new event file, after reading what the others hold."""
        self.close()
        if self.log_dir is None:
            self._refuse_link()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._steps.clear()
        self._images.clear()
        self._texts.clear()
        for one in read_events(self.folder):
            for value in one.summary.value:
                if value.HasField("image"):
                    self._images.add((value.tag, one.step))
                elif value.HasField("tensor"):
                    self._texts.add((value.tag, one.step))
                else:
                    self._steps[value.tag].add(one.step)
        self._file = EventFile(self.folder)
        return not (self._steps or self._images or self._texts)

    def steps_of(self, metric: str) -> Iterable[int]:
        """Return the steps at which the files hold a value of the metric."""
        return self._steps[metric]

    def log_points(self, points: Sequence[Point]) -> None:
        """Write scalars, each at its step and its time, and those of one line in one event."""
        lines: dict[tuple[int, float], list[dict[str, Any]]] = {}
        for point in points:
            value = {"tag": point.name, "simple_value": point.value}
            lines.setdefault((point.step, point.time), []).append(value)
        self._write(
            event(step=step, wall_time=stamp, summary={"value": values})
            for (step, stamp), values in lines.items()
        )

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Write the config as text, once."""
        if ("config", 0) not in self._texts:
            text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
            self._text("config", 0, "".join(f"    {line}\n" for line in text.splitlines()))

    def log_events(self, lines: Mapping[int, str]) -> None:
        """Write lines of events.jsonl as texts, the first at step 1."""
        for number, line in lines.items():
            if ("events", number) not in self._texts:
                self._text("events", number, f"    {line}")

    def log_file(self, file: Path, folder: str) -> None:
        """Write a figure as an image; other files are left where they are."""
        found = _FIGURE.fullmatch(file.name)
        if found is None or not folder.startswith("figures/"):
            return
        name, step = found[1], int(found[2])
        tag = "/".join(filter(None, (folder.removeprefix("figures/"), name)))
        if (tag, step) in self._images:
            return
        data = file.read_bytes()
        if not data.startswith(_PNG) or len(data) < 24:
            return
        width, height = struct.unpack(">II", data[16:24])
        image = {
            "width": width, "height": height, "colorspace": 4, "encoded_image_string": data,
        }  # fmt: skip
        stamp = file.stat().st_mtime
        value = {"tag": tag, "image": image}
        self._write([event(step=step, wall_time=stamp, summary={"value": [value]})])
        self._images.add((tag, step))

    def end(self, status: str, ended: float) -> None:
        """Write how the run ended. Raises OSError when the files were deleted meanwhile."""
        if ("status", 0) not in self._texts:
            self._text("status", 0, status)
        self._write([])

    def close(self) -> None:
        """Close the event file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def record(self) -> Mapping[str, Any]:
        """Return the folder."""
        return {"folder": str(self.folder)}

    def _text(self, tag: str, step: int, text: str) -> None:
        value = {
            "tag": tag,
            "metadata": {"plugin_data": {"plugin_name": "text"}, "data_class": "DATA_CLASS_TENSOR"},
            "tensor": {
                "dtype": "DT_STRING",
                "tensor_shape": {"dim": [{"size": 1}]},
                "string_val": [text.encode()],
            },
        }
        self._write([event(step=step, summary={"value": [value]})])
        self._texts.add((tag, step))

    def _write(self, events: Iterable[Any]) -> None:
        if self._file is None:
            raise EbmError("no event file is open")
        self._file.write(list(events))

    def _refuse_link(self) -> None:
        if self.folder.is_symlink():
            raise EbmError(f"{self.folder}: is a link to another place; remove it")
