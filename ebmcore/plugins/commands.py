"""Commands that plugins offer to the command line: which word stands for which."""

from __future__ import annotations

import difflib

from ebmcore.errors import PluginError
from ebmcore.kinds import COMMAND
from ebmcore.plugins.host import Component, Host
from ebmcore.plugins.names import CORE_COMMANDS
from ebmcore.plugins.suggestions import KNOWN_COMMANDS


def commands_in(host: Host, group: str) -> dict[str, list[Component]]:
    """Return the commands that join a group of the core's, "" for none, by the word to type.

    Where plugins offer one name, it stands for all of theirs, and `plugin:name` for each.
    """
    words: dict[str, list[Component]] = {}
    for component in host.components(COMMAND.name):
        above, _, word = component.name.rpartition(" ")
        if above == group:
            words.setdefault(word, []).append(component)
    for word, components in list(words.items()):
        for component in components:
            words[f"{component.plugin.name}:{word}"] = [component]
    return words


def missing_command(host: Host, group: str, word: str) -> str:
    """Return what explains that a command isn't there, empty when nothing does.

    That is a distribution of ours to install, or a plugin that failed to load.
    """
    name = f"{group} {word}".strip()
    distribution = KNOWN_COMMANDS.get(name)
    reasons = host.reasons(distribution)
    if not reasons:
        return ""
    names = sorted({*CORE_COMMANDS, *(c.name for c in host.components(COMMAND.name))})
    near = [] if distribution else difflib.get_close_matches(name, names, 2)
    hint = [f"Did you mean {' or '.join(repr(n) for n in near)}?"] if near else []
    return " ".join([f"no command {name!r}.", *hint, *reasons])


def only(word: str, components: list[Component]) -> Component:
    """Return the command that a word stands for. Raises PluginError where there are several."""
    if len(components) == 1:
        return components[0]
    candidates = ", ".join(sorted(f"{c.plugin.name}:{word}" for c in components))
    raise PluginError(f"command {word!r} is offered more than once; write one of {candidates}.")
