"""Commands that plugins offer to the command line: which word stands for which."""

from __future__ import annotations

import difflib

from ebmcore.cli.plugin_commands.source_help import source_of
from ebmcore.errors import PluginError
from ebmcore.kinds import COMMAND
from ebmcore.plugins.aliases import command_called
from ebmcore.plugins.host import Component, Host
from ebmcore.plugins.names import CORE_COMMANDS
from ebmcore.plugins.select import Selection, Status, find_selected
from ebmcore.plugins.suggestions import KNOWN_COMMANDS


def load_offering(selection: Selection, name: str = "") -> Host:
    """Load the plugins that may offer commands, or the one that offers the command `name`.

    A plugin whose source doesn't mention the hook isn't imported, so that it can neither slow down
    nor break the command line. A known command is of one distribution, and needs no other.
    """
    plugins = find_selected(selection)
    owner = KNOWN_COMMANDS.get(name)
    if owner is not None:
        return Host.of(p for p in plugins if p.found.distribution == owner)
    return Host.of(p for p in plugins if p.status is not Status.OK or _may_offer(p.found.target))


def _may_offer(module: str) -> bool:
    try:
        source = source_of(module)
    except Exception:  # there is no source, so only an import can tell
        return True
    return COMMAND.hook in source or "import *" in source


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

    That is a command of another name that does it, a distribution of ours to install, or a plugin
    that failed to load.
    """
    name = f"{group} {word}".strip()
    meant = command_called(name)
    names = sorted({*CORE_COMMANDS, *(c.name for c in host.components(COMMAND.name))})
    distribution = KNOWN_COMMANDS.get(meant or name)
    reasons = [] if meant in names else host.reasons(distribution)
    if not reasons and meant is None:
        return ""
    near = [meant] if meant else []
    near = near or ([] if distribution else difflib.get_close_matches(name, names, 2))
    hint = [f"Did you mean {' or '.join(repr(n) for n in near)}?"] if near else []
    return " ".join([f"no command {name!r}.", *hint, *reasons])


def only(word: str, components: list[Component]) -> Component:
    """Return the command that a word stands for. Raises PluginError where there are several."""
    if len(components) == 1:
        return components[0]
    candidates = ", ".join(sorted(f"{c.plugin.name}:{word}" for c in components))
    raise PluginError(f"command {word!r} is offered more than once; write one of {candidates}.")
