"""Use of the processor, memory, disk, network and GPUs while a run trains, as MLflow measures it.

MLflow's own switch asks for it: MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING, which
`mlflow.enable_system_metrics_logging()` sets. A thread that sleeps between two samples adds lines
to system.jsonl in the run directory; they are sent like those of metrics.jsonl, also after an
outage. The step of a line is the number of seconds since the run's start.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ebmcore.runs.layout import SYSTEM
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.runs.status import read_account
from ebmcore.service_contracts import TrackedRun

SWITCH = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"
_SETTINGS = "MLFLOW_SYSTEM_METRICS_"  # MLflow's names of the settings begin so
_PERIOD = 10.0  # seconds between two samples, as MLflow has it


class SystemMetrics:
    """Samples the machine of a run until its end, or `stop`, if MLflow's switch asks for it.

    Args:
        run: The run, in whose directory the samples are kept.
        note: Is called once with a text for the user when nothing can be measured.
    """

    def __init__(self, run: TrackedRun, note: Callable[[str], None]) -> None:
        self.run = run
        self.note = note
        self._step = -1  # of the last sample
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to sample, unless that goes on already or isn't asked for."""
        if not is_asked_for() or (self._thread is not None and not self._stopped.is_set()):
            return
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._work, args=(self._stopped,), name="ebmcore-system-metrics", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Take no more samples."""
        self._stopped.set()

    def _work(self, stopped: threading.Event) -> None:
        try:
            self._sample(stopped)
        except ImportError:
            self.note(f"{SWITCH} is set, and nothing is measured: pip install psutil")
        except Exception as error:  # of the drivers of a device
            self.note(f"{SWITCH} is set, and nothing more is measured: {error!r:.200}")

    def _sample(self, stopped: threading.Event) -> None:
        period = float(os.environ.get(f"{_SETTINGS}SAMPLING_INTERVAL") or _PERIOD)
        samples = int(os.environ.get(f"{_SETTINGS}SAMPLES_BEFORE_LOGGING") or 1)
        node = os.environ.get(f"{_SETTINGS}NODE_ID")
        prefix = f"system/{node}/" if node else "system/"
        monitors = _monitors()
        for monitor in monitors:  # psutil measures from one call to the next
            monitor.collect_metrics()
            monitor.clear_metrics()
        taken = 0
        while not (stopped.wait(period) or self._has_ended()):
            for monitor in monitors:
                monitor.collect_metrics()
            taken += 1
            if taken % samples == 0:
                self._write({f"{prefix}{k}": v for m in monitors for k, v in _averages(m).items()})

    def _has_ended(self) -> bool:
        """Tell whether no tracker waits for another line: the last ones are being sent."""
        return self.run.is_left() or read_account(self.run.dir).recorded != "RUNNING"

    def _write(self, values: Mapping[str, float]) -> None:
        now = time.time()
        self._step = max(int(now - self.run.started), self._step + 1)
        line = {"step": self._step, "epoch": 0.0, "time": round(now, 3), **values}
        SafeFiles(self.run.dir).append(SYSTEM, (json.dumps(line) + "\n").encode())


def is_asked_for() -> bool:
    """Tell whether MLflow's switch is on."""
    return os.environ.get(SWITCH, "").lower() in ("true", "1")


def _monitors() -> list[Any]:  # of BaseMetricsMonitor, which has no types
    """Return MLflow's measures of this machine. Raises ImportError without psutil."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
    from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

    always: tuple[Callable[[], Any], ...] = (CPUMonitor, DiskMonitor, NetworkMonitor)
    found = [make() for make in always]
    for gpus in (GPUMonitor, ROCMMonitor):
        try:
            return [*found, gpus()]
        except Exception:  # how MLflow says that there are none
            continue
    return found


def _averages(monitor: Any) -> dict[str, float]:
    found = {name: float(value) for name, value in monitor.aggregate_metrics().items()}
    monitor.clear_metrics()
    return found
