"""Names that a plugin may give to what it offers."""

from __future__ import annotations

import re
from typing import Any

from ebmcore.errors import PluginError
from ebmcore.kinds import COMMAND
from ebmcore.plugins.suggestions import KNOWN_COMMANDS

GROUPS = ("plugins", "runs")  # the core's groups of commands
# the core's own commands; a test holds this list to the command line
CORE_COMMANDS = frozenset({*GROUPS, "components", "evaluate", "resume", "run", "sample", "score"})
CORE_COMMANDS |= {"schema", "show", "plugins list"}
CORE_COMMANDS |= {"runs diff", "runs list", "runs show", "runs sync"}


def check_name(kind: str, name: Any, distribution: str) -> None:
    """Raise PluginError when an offer of this distribution can't have this name."""
    if kind == COMMAND.name:
        _check_command(name, distribution)
    else:
        _check_part(kind, name)


def _check_part(kind: str, name: Any) -> None:
    """Refuse a name that can't be written in a config.

    There `plugin:name` is the full name, and `@name` refers to another place of the config.
    """
    if not isinstance(name, str) or not re.fullmatch(r"(?![@\s])[^:]+(?<!\s)", name):
        raise PluginError(
            f"offers a part of kind {kind} named {name!r}; a name should be a text without ':', "
            "without '@' in front and without white space at its ends, and not empty"
        )


def _check_command(name: Any, distribution: str) -> None:
    """Refuse a name that can't be typed, that joins no group, or that is taken."""
    word = r"[A-Za-z0-9][A-Za-z0-9_-]*"
    if not isinstance(name, str) or not re.fullmatch(f"{word}( {word})?", name):
        raise PluginError(
            f"offers a command named {name!r}; a name should be a word of ASCII letters, digits, "
            "'-' and '_', such as 'report', or a group's name and a word, such as 'runs report'"
        )
    group, _, _ = name.rpartition(" ")
    if group and group not in GROUPS:
        raise PluginError(
            f"offers the command {name!r}, but there is no group {group!r}; "
            f"groups: {', '.join(GROUPS)}"
        )
    if name in CORE_COMMANDS:
        raise PluginError(f"offers the command {name!r}, which ebmcore has itself; rename it")
    owner = KNOWN_COMMANDS.get(name, distribution)
    if owner != distribution:
        raise PluginError(f"offers the command {name!r}, which is {owner}'s; rename it")
