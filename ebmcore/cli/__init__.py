"""The command line: one module for each command, nothing heavy imported at the top.

The names below are public: a plugin's command answers with them as the core's commands do.
"""

from ebmcore.cli.output import (
    INTERRUPTED,
    RUN_FAILED,
    WRONG_INPUT,
    Answer,
    AsJson,
    DryRun,
    Force,
    OtherVersions,
    Overrides,
    PluginOptions,
    RunsDir,
    Strict,
    Versions,
    out,
    say,
    table,
)
from ebmcore.cli.runs.run_dir import RunDir, named_run
from ebmcore.cli.shell.command_line import same_command

__all__ = [
    "INTERRUPTED",
    "RUN_FAILED",
    "WRONG_INPUT",
    "Answer",
    "AsJson",
    "DryRun",
    "Force",
    "OtherVersions",
    "Overrides",
    "PluginOptions",
    "RunDir",
    "RunsDir",
    "Strict",
    "Versions",
    "named_run",
    "out",
    "same_command",
    "say",
    "table",
]
