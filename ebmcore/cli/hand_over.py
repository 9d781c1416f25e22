"""Handing a command line over to a plugin's command, which answers it."""

from __future__ import annotations

from typing import Any

from ebmcore.cli.output import Answer
from ebmcore.errors import PluginError


def hand_over(name: str, **options: Any) -> Answer:
    """Call a plugin's command by its name and return its answer.

    The options are those of the command's function; a group's name stands before a word of its own,
    as in `runs compare`. Raises PluginError that says what to install when there is no such
    command, and what the command raises.
    """
    from ebmcore.plugins import Host, Selection
    from ebmcore.plugins.commands import commands_in, missing_command, only

    host = Host.discover(Selection.from_options(()))
    group, _, word = name.rpartition(" ")
    components = commands_in(host, group).get(word)
    if components is None:
        raise PluginError(missing_command(host, group, word) or f"no command {name!r} is installed")
    answer: Answer = only(word, components).load()(**options)
    return answer
