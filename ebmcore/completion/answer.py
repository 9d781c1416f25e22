"""The answer to a shell that completes a word, from the catalogue alone, without typer's import.

typer's own completion answers instead where the catalogue is old or missing, and to words that this
module doesn't follow.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from typing import Any

from ebmcore.completion import cache, completers
from ebmcore.completion.completers import Offers
from ebmcore.terminal import out

_COMPLETE = "_EBMCORE_COMPLETE"  # the variables are typer's, whose scripts the shells run
_WORDS = "_TYPER_COMPLETE_ARGS"
_FISH_ACTION = "_TYPER_COMPLETE_FISH_ACTION"
_ZSH = str.maketrans({'"': '""', "'": "''", "$": "\\$", "`": "\\`", ":": "\\\\:"})


def answered() -> bool:
    """Print the offers as the shell that asks reads them; tell whether that was possible."""
    shell = os.environ[_COMPLETE].removeprefix("complete_")
    catalogue = cache.read()
    if shell not in _SHOWN or not catalogue.get("fresh"):
        return False
    try:
        found = offers(*_typed(shell), catalogue["command"])
    except Exception:  # words that this module doesn't follow
        return False
    if os.environ.get(_FISH_ACTION) == "is-args":
        raise SystemExit(not found)
    out(_SHOWN[shell](found))
    return True


def offers(words: Sequence[str], incomplete: str, command: dict[str, Any]) -> Offers:
    """Return the offers for a word behind others. Raises an error where it can't follow."""
    params: dict[str, Any] = {}
    awaiting: dict[str, Any] | None = None  # the option whose value is next
    for word in words:
        if awaiting is not None:
            params[awaiting["name"]], awaiting = word, None
        elif word.startswith("-"):
            (option,) = [o for o in command["options"] if word in o["words"]]
            params[option["name"]] = True
            awaiting = option if option["value"] else None
        elif argument := _next(command, params):
            before = params.get(argument["name"], [])
            params[argument["name"]] = [*before, word] if argument["many"] else word
        else:
            command, params = command["commands"][word], {}
    if incomplete.startswith("-"):
        if "=" in incomplete:
            raise ValueError(incomplete)
        unused = [o for o in command["options"] if o["many"] or o["name"] not in params]
        found = [(word, option["help"]) for option in unused for word in option["words"]]
    elif parameter := awaiting or _next(command, params):
        incomplete = incomplete.removeprefix("=")  # bash breaks words there
        if isinstance(parameter["offers"], str):
            found = getattr(completers, parameter["offers"])(params, incomplete)
        else:
            found = [(choice, "") for choice in parameter["offers"]]
    else:
        found = [(name, below["help"]) for name, below in command["commands"].items()]
    return [offer for offer in found if offer[0].startswith(incomplete)]


def _next(command: dict[str, Any], params: dict[str, Any]) -> dict[str, Any] | None:
    """Return the argument that the next word is, None where a command has no more."""
    left = (a for a in command["arguments"] if a["many"] or a["name"] not in params)
    return next(left, None)


def _typed(shell: str) -> tuple[list[str], str]:
    """Return the words behind the program's name, and the one to complete."""
    if shell == "bash":
        words, number = shlex.split(os.environ["COMP_WORDS"]), int(os.environ["COMP_CWORD"])
        return words[1:number], "".join(words[number : number + 1])
    line = os.environ[_WORDS]
    words = shlex.split(line)[1:]
    return (words, "") if line.endswith(" ") or not words else (words[:-1], words[-1])


def _for_zsh(found: Offers) -> str:
    pairs = ([text.translate(_ZSH) for text in offer if text] for offer in found)
    quoted = "\n".join(":".join(f'"{text}"' for text in pair) for pair in pairs)
    return f"_arguments '*: :(({quoted}))'" if found else "_files"


def _for_fish(found: Offers) -> str:
    return "\n".join("\t".join(re.sub(r"\s", " ", text) for text in o if text) for o in found)


_SHOWN = {
    "bash": lambda found: "\n".join(word for word, _ in found),
    "zsh": _for_zsh,
    "fish": _for_fish,
}
