"""Run directories: the files in one, who writes it, how its run stands, and whose child it is.

The names below are for plugins, which reach a run directory through them alone.
"""

from ebmcore.runs.directory import RunDirectory, runs_folder
from ebmcore.runs.family import (
    KEY_VARIABLE,
    PARENT_VARIABLE,
    RUN_VARIABLE,
    announce,
    by_key,
    is_parent,
    is_seed_group,
    read_children,
    recorded_parent,
    told_parent,
)
from ebmcore.runs.inside import Inside
from ebmcore.runs.jsonl import as_number, last_lines, read_object
from ebmcore.runs.layout import BEST, FIGURES, LARGEST_LINE, LOGS, METRICS, SUMMARY
from ebmcore.runs.lock import is_held
from ebmcore.runs.logs import open_log
from ebmcore.runs.provenance import provenance
from ebmcore.runs.seal import config_folder, is_sealed, seal
from ebmcore.runs.status import Account, read_account

__all__ = [
    "BEST",
    "FIGURES",
    "KEY_VARIABLE",
    "LARGEST_LINE",
    "LOGS",
    "METRICS",
    "PARENT_VARIABLE",
    "RUN_VARIABLE",
    "SUMMARY",
    "Account",
    "Inside",
    "RunDirectory",
    "announce",
    "as_number",
    "by_key",
    "config_folder",
    "is_held",
    "is_parent",
    "is_sealed",
    "is_seed_group",
    "last_lines",
    "open_log",
    "provenance",
    "read_account",
    "read_children",
    "read_object",
    "recorded_parent",
    "runs_folder",
    "seal",
    "told_parent",
]
