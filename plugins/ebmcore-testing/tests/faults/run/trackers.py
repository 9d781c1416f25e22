"""Wrong trackers, and the right one beside them."""

import json
import math
import os
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

import torch
from kit_faults.fault import Fault

from ebmcore import RefusedError, Tracker

TABLES = """
CREATE TABLE IF NOT EXISTS points (run, name, step, time, value);
CREATE TABLE IF NOT EXISTS texts (run, name, text, PRIMARY KEY (run, name));
CREATE TABLE IF NOT EXISTS files (run, folder, name, data, PRIMARY KEY (run, folder, name));
"""
RIGHT_STATUS = {"FINISHED": "done", "FAILED": "failed", "KILLED": "killed"}


class Table(Tracker):
    """A right one: everything of a run in a sqlite file."""

    db = None

    def __init__(self, *, file: str = "runs.db"):
        self.file = self.place = file

    @property
    def key(self):
        return self.run.dir.name

    def open(self):
        self.close()
        self.db = sqlite3.connect(self.file)
        self.db.execute("PRAGMA synchronous = OFF")  # no test pulls the plug
        self.db.executescript(TABLES)
        return not self.select("SELECT step FROM points WHERE run = ?", self.key)

    def select(self, query, *values):
        return [found for (found,) in self.db.execute(query, values)]

    def write(self, query, *rows):
        with self.db:
            self.db.executemany(query, rows)

    def steps_of(self, metric):
        return self.select("SELECT step FROM points WHERE run = ? AND name = ?", self.key, metric)

    def log_points(self, points):
        self.write("INSERT INTO points VALUES (?, ?, ?, ?, ?)", *((self.key, *p) for p in points))

    def text(self, name, text):
        self.write("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", (self.key, name, text))

    def log_config(self, config):
        self.text("config", json.dumps(config))

    def log_events(self, lines):
        for number, line in lines.items():
            self.text(f"event {number}", line)

    def sizes_in(self, folder):
        query = "SELECT name, length(data) FROM files WHERE run = ? AND folder = ?"
        return dict(self.db.execute(query, [self.key, folder]))

    def log_file(self, file, folder):
        row = self.key, folder, file.name, file.read_bytes()
        self.write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", row)

    def end(self, status, ended):
        self.text("status", RIGHT_STATUS[status])

    def close(self):
        if self.db is not None:
            self.db.close()
        self.db = None

    def record(self):
        return {"file": self.file}


class RefusesNan(Table):
    """A right one: data that it will never take are refused."""

    def log_points(self, points):
        if not all(math.isfinite(point.value) for point in points):
            raise RefusedError("finite values only")
        super().log_points(points)

    def log_file(self, file, folder):
        raise RefusedError("no files")


class NoTracker:
    begin, record = Table.begin, Table.record


class OneTextForNotes(Table):
    notes = "see the table"


class RecordsAPath(Table):
    def record(self):
        return {"file": Path(self.file)}


class ConnectsInBegin(Table):
    """sqlite's connections are for the thread that made them."""

    def begin(self, run):
        super().begin(run)
        super().open()

    def open(self):
        return not self.select("SELECT step FROM points WHERE run = ?", self.key)

    def __del__(self):
        with suppress(sqlite3.ProgrammingError):  # of another thread's connection
            self.close()


class DropsStepZero(Table):
    def log_points(self, points):
        super().log_points([point for point in points if point.step])


class TakesAllMetricsForOne(Table):
    def steps_of(self, metric):
        return self.select("SELECT step FROM points WHERE run = ? AND name = 'loss'", self.key)


class KeepsUntilClosed(Table):
    def log_points(self, points):
        self.waiting = [*getattr(self, "waiting", ()), *points]

    def close(self):
        waiting, self.waiting = getattr(self, "waiting", ()), ()
        if waiting:
            super().log_points(waiting)
        super().close()


class TakesItsRunForNew(Table):
    def open(self):
        super().open()
        return True


class MakesAnotherRun(Table):
    """It draws a name that `record` leaves out."""

    def begin(self, run):
        super().begin(run)
        self.own = object()

    @property
    def key(self):
        return f"{super().key}-{id(self.own)}"


class Unsure(Table):
    """A right one: says that every run may hold values, so ebmcore asks for them."""

    def open(self):
        super().open()
        return False


class RemembersSteps(Unsure):
    def steps_of(self, metric):
        known = self.__dict__.setdefault("known", {})
        return known.setdefault(metric, super().steps_of(metric))


class OpensOnce(Table):
    def open(self):
        if hasattr(self, "opened"):
            return False
        self.opened = True
        return super().open()


class KnowsRunsByName(Table):
    @property
    def key(self):
        return self.run.name


class DropsABatchWithNan(Table):
    def log_points(self, points):
        if all(math.isfinite(point.value) for point in points):
            super().log_points(points)


class RaisesOnInfinity(Table):
    def log_points(self, points):
        json.dumps([point.value for point in points], allow_nan=False)
        super().log_points(points)


class ChangesTheConfig(Table):
    def log_config(self, config):
        config["energy"].pop("bias", None)


class TakesOnlyFlatConfigs(Table):
    def log_config(self, config):
        for name, value in config.items():
            self.text(name, value)


class TakesAnEventOnce(Table):
    def text(self, name, text):
        self.write("INSERT INTO texts VALUES (?, ?, ?)", (self.key, name, text))

    def log_config(self, config):
        pass


class WritesToFiles(Table):
    def log_file(self, file, folder):
        super().log_file(file, folder)
        if not folder:
            file.write_text("shown")


class NamesOtherSizes(Table):
    def sizes_in(self, folder):
        return dict.fromkeys(super().sizes_in(folder), 1)


class ReadsFilesLater(Table):
    def log_file(self, file, folder):
        self.later = [*getattr(self, "later", ()), (file, folder)]

    def end(self, status, ended):
        for file, folder in getattr(self, "later", ()):
            super().log_file(file, folder)


class KnowsTwoStatuses(Table):
    def end(self, status, ended):
        self.text("status", {"FINISHED": "done", "FAILED": "failed"}[status])


class ClosesAtItsEnd(Table):
    def end(self, status, ended):
        super().end(status, ended)
        self.db.close()


class KeepsAFileOpen(Table):
    handle = None

    def open(self):
        is_new = super().open()
        self.handle = os.open(self.file, os.O_RDONLY) if self.handle is None else self.handle
        return is_new

    def __del__(self):
        if self.handle is not None:
            os.close(self.handle)


class KeepsItsThread(Table):
    done = None

    def open(self):
        if self.done is None:
            self.done = threading.Event()
            threading.Thread(target=self.done.wait, daemon=True).start()
        return super().open()

    def __del__(self):
        self.done and self.done.set()


class DrawsGlobally(Table):
    def log_points(self, points):
        torch.rand(1)
        super().log_points(points)


class TakesTorchsThreads(Table):
    def begin(self, run):
        super().begin(run)
        torch.set_num_threads(torch.get_num_threads() + 1)


FAULTS = tuple(
    Fault("tracker", wrong, check, right, raises)
    for wrong, check, right, raises in (
        (NoTracker, "described", Table, False),
        (OneTextForNotes, "described", Table, False),
        (RecordsAPath, "described", Table, False),
        (ConnectsInBegin, "points", Table, True),
        (DropsStepZero, "points", Table, False),
        (TakesAllMetricsForOne, "points", Table, False),
        (KeepsUntilClosed, "stored", Table, False),
        (TakesItsRunForNew, "resumes", Table, False),
        (MakesAnotherRun, "resumes", Table, False),
        (RemembersSteps, "reopens", Unsure, False),
        (OpensOnce, "reopens", Table, True),
        (KnowsRunsByName, "runs_apart", Table, False),
        (DropsABatchWithNan, "values", RefusesNan, False),
        (RaisesOnInfinity, "values", RefusesNan, True),
        (ChangesTheConfig, "config", Table, False),
        (TakesOnlyFlatConfigs, "config", Table, True),
        (TakesAnEventOnce, "events", Table, True),
        (WritesToFiles, "files", Table, False),
        (NamesOtherSizes, "files", Table, False),
        (ReadsFilesLater, "files", Table, True),
        (KnowsTwoStatuses, "end", Table, True),
        (ClosesAtItsEnd, "end", Table, True),
        (KeepsAFileOpen, "released", Table, False),
        (KeepsItsThread, "released", Table, False),
        (DrawsGlobally, "process_untouched", Table, False),
        (TakesTorchsThreads, "process_untouched", Table, False),
    )
)
