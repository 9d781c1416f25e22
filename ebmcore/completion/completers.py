"""The offers at TAB, a function for each kind of word, which typer's completion calls, too."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ebmcore.kinds import OFFERED

if TYPE_CHECKING:
    from ebmcore.completion.keys import Key

# the names of ebmcore.runs, which takes a third of the time that a completion has
RUNS_DIR_VARIABLE, RUN_JSON, CONFIG = "EBMCORE_RUNS_DIR", "run.json", "config.yaml"

Offers = list[tuple[str, str]]  # a word and its meaning
_SAFE = r"[\w.:/@+-]+"  # a shell would read other letters of a folder's name or a value


def _quietly(complete: Callable[[Mapping[str, Any], str], Iterable[tuple[str, str]]]) -> Any:
    """Offer nothing where a completer fails: a traceback would stand in the user's line."""

    def call(ctx: Any, incomplete: str) -> Offers:  # typer tells its context by this name
        try:
            found = complete(getattr(ctx, "params", ctx), incomplete)
            return [(word, meaning) for word, meaning in found if word.startswith(incomplete)]
        except Exception:
            return []

    call.__name__ = complete.__name__
    return call


@_quietly
def kinds(params: Mapping[str, Any], incomplete: str) -> Iterable[tuple[str, str]]:
    """Offer the kinds of parts."""
    return [(kind, "") for kind in OFFERED]


@_quietly
def launchers(params: Mapping[str, Any], incomplete: str) -> Iterable[tuple[str, str]]:
    """Offer what starts runs."""
    return _parts("launcher")


@_quietly
def checkpoints(params: Mapping[str, Any], incomplete: str) -> Iterable[tuple[str, str]]:
    """Offer the checkpoints that have names."""
    return [("last", "of the last step saved"), ("best", "of train.keep_best")]


@_quietly
def parts(params: Mapping[str, Any], incomplete: str) -> Iterable[tuple[str, str]]:
    """Offer the parts of the kind that stands before them."""
    return _parts(params["kind"])


@_quietly
def runs(params: Mapping[str, Any], incomplete: str) -> Iterable[tuple[str, str]]:
    """Offer `last` and the run directories of the runs' folder."""
    folder = Path(os.environ.get(RUNS_DIR_VARIABLE) or "runs")
    there = folder.iterdir() if folder.is_dir() else ()
    found = [path for path in there if _is_safe(path.name) and (path / RUN_JSON).is_file()]
    return [("last", "the newest run"), *((str(path), "") for path in sorted(found))]


@_quietly
def overrides(params: Mapping[str, Any], incomplete: str) -> Iterable[tuple[str, str]]:
    """Offer the keys of CONFIG, or of the run's; after `=`, the parts that a key takes.

    A shell that breaks words at `=`, as bash does, asks for the part alone.
    """
    from ebmcore.completion.cache import read
    from ebmcore.completion.keys import config_tree, keys_at, values_at

    config, run_dir = params.get("config"), params.get("run_dir")
    tree = config_tree(Path(config) if config else Path(str(run_dir)) / CONFIG)
    given = list(params.get("overrides") or ())
    catalogue = read()
    if given[-1:] == ["="]:
        return values_at(given[-2].split("."), tree, catalogue).items()
    key, equals, _ = incomplete.partition("=")
    if equals:
        values = values_at(key.split("."), tree, catalogue)
        return [(f"{key}={name}", meaning) for name, meaning in values.items()]
    *place, _ = key.split(".")
    keys = {".".join([*place, name]): k for name, k in keys_at(place, tree, catalogue).items()}
    found = {name: key for name, key in keys.items() if name.startswith(incomplete)}
    return [offer for name, key in found.items() for offer in _ways_on(name, key, tree, len(found))]


def _parts(kind: str) -> Offers:
    from ebmcore.completion.cache import read

    found = read().get("parts", {}).get(kind, {})
    return [(name, part.get("summary", "")) for name, part in found.items()]


def _is_safe(text: str) -> bool:
    import re

    return re.fullmatch(_SAFE, text) is not None


def _ways_on(name: str, key: Key, tree: Mapping[str, Any], of: int) -> Offers:
    """Offer `KEY=`, and `KEY.` where keys follow; of one key alone its value, too.

    Two words that begin alike keep a shell from putting a space behind the first.
    """
    ways = [(f"{name}=", key.meaning)]
    if key.opens:
        ways.append((f"{name}.", key.meaning))
    elif of == 1:
        from ebmcore.completion.keys import value_at

        value = value_at(name.split("."), tree) or key.default or ""
        ways += [(f"{name}={value}", "as it is")] if _is_safe(value) else []
    return ways
