"""The names of a run's own files and folders, and the size limits of those that are read whole."""

from __future__ import annotations

RUN_JSON = "run.json"
CONFIG = "config.yaml"
METRICS = "metrics.jsonl"
EVENTS = "events.jsonl"
SYSTEM = "system.jsonl"  # use of the processor, memory, disk: lines like those of metrics.jsonl
LOG = "log.txt"
LOCK = ".lock"
RESERVE = ".reserve"
HELD_OUT = "held_out.bits"  # which rows of the data were set aside, a bit for each
EXAMPLE = "example.safetensors"  # a few rows of the data, before transforms
CHECKPOINTS = "checkpoints"
FIGURES = "figures"
PLUGINS = "plugins"
ARTIFACTS = "artifacts"  # files that callbacks and hooks logged
EVALUATION = "evaluation"
EVALUATION_PART = f".{EVALUATION}.part"
CHILDREN = "children"
LOGS = "logs"
PROFILE = "profile.json"
SUMMARY = "summary.md"  # of a sweep
BEST = "best.yaml"  # of a sweep

WRITTEN = (RUN_JSON, CONFIG, METRICS, EVENTS, LOG)  # files that any run may have
FILES = (*WRITTEN, SYSTEM, RESERVE, HELD_OUT, EXAMPLE, PROFILE, SUMMARY, BEST)
FOLDERS = (CHECKPOINTS, FIGURES, PLUGINS, ARTIFACTS, EVALUATION, EVALUATION_PART, CHILDREN, LOGS)

# bytes of a file that is read whole; far more than ebmcore writes
LARGEST_RUN_JSON = 16 * 1024**2
LARGEST_CONFIG = 1024**2  # which takes half a minute to read
LARGEST_MANIFEST = 16 * 1024**2
LARGEST_HELD_OUT = 1024**3
LARGEST_EXAMPLE = 32 * 1024**2
LARGEST_STATE = 64 * 1024**2
LARGEST_NOTE = 10_000  # of a file in `children`
LARGEST_LINE = 16 * 1024**2  # of metrics.jsonl or events.jsonl
