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

__all__ = [
    "INTERRUPTED",
    "RUN_FAILED",
    "WRONG_INPUT",
    "Answer",
    "AsJson",
    "DryRun",
    "OtherVersions",
    "Overrides",
    "PluginOptions",
    "RunsDir",
    "Strict",
    "Versions",
    "out",
    "say",
    "table",
]
