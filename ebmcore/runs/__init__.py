"""Run directories: the files in one, who writes it, how its run stands, and whose child it is.

The names below are for plugins, which reach a run directory through them alone.
"""

from ebmcore.output_file import output_file, writing
from ebmcore.runs import layout
from ebmcore.runs.directory import RunDirectory, runs_folder
from ebmcore.runs.jsonl import as_number, last_lines, read_object
from ebmcore.runs.layout import BEST, FIGURES, LARGEST_LINE, LOGS, METRICS, SUMMARY
from ebmcore.runs.lock import is_held
from ebmcore.runs.logs import open_log
from ebmcore.runs.parent_child import (
    KEY_VARIABLE,
    LABEL_VARIABLE,
    PARENT_VARIABLE,
    RUN_VARIABLE,
    children_by_key,
    is_parent,
    is_seed_group,
    parent_from_environment,
    read_children,
    recorded_parent,
    register_child,
)
from ebmcore.runs.provenance import provenance
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.runs.status import Account, read_account
from ebmcore.runs.user_signature import config_folder, is_signed, sign

__all__ = [
    "BEST",
    "FIGURES",
    "KEY_VARIABLE",
    "LABEL_VARIABLE",
    "LARGEST_LINE",
    "LOGS",
    "METRICS",
    "PARENT_VARIABLE",
    "RUN_VARIABLE",
    "SUMMARY",
    "Account",
    "RunDirectory",
    "SafeFiles",
    "as_number",
    "children_by_key",
    "config_folder",
    "is_held",
    "is_parent",
    "is_seed_group",
    "is_signed",
    "last_lines",
    "layout",
    "open_log",
    "output_file",
    "parent_from_environment",
    "provenance",
    "read_account",
    "read_children",
    "read_object",
    "recorded_parent",
    "register_child",
    "runs_folder",
    "sign",
    "writing",
]
