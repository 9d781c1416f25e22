"""Commands about groups of seeds, which the distribution ebmcore-sweep answers for the core's."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ebmcore.cli.output import Answer
from ebmcore.completion import completers
from ebmcore.errors import EbmError, PluginError

Seeds = Annotated[
    str | None,
    typer.Option(
        metavar="N|A,B,…",
        help="Train with N seeds from the config's on, or with these: `ebmcore seeds`.",
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="With --seeds: how many runs go on at once; else 1.")
]
Launchers = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="With --seeds: what starts the runs; else local.",
        autocompletion=completers.launchers,
    ),
]


def refuse_without_seeds(*, workers: int | None, launcher: str | None) -> None:
    """Raise EbmError when an option was given that speaks of several runs, where there is one."""
    for name, value in (("--workers", workers), ("--launcher", launcher)):
        if value is not None:
            raise EbmError(f"{name}: is for several runs; there is one without --seeds")


def hand_over(name: str, **options: Any) -> Answer:
    """Call a plugin's command by its name and return its answer.

    The options are those of the command's function; a group's name stands before a word of its own,
    as in `runs compare`. Raises PluginError that says what to install when there is no such
    command, and what the command raises.
    """
    from ebmcore.cli.plugin_commands.offers import commands_in, load_offering, missing_command, only
    from ebmcore.plugins import Selection

    host = load_offering(Selection.from_options(()), name)
    group, _, word = name.rpartition(" ")
    components = commands_in(host, group).get(word)
    if components is None:
        raise PluginError(missing_command(host, group, word) or f"no command {name!r} is installed")
    answer: Answer = only(word, components).load()(**options)
    return answer
