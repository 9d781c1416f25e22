"""The config of a run that was made of objects: the parts without a node, and the user's seal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ebmcore.runs.user_signature import is_signed

MADE = "made_of_objects"  # the key of such a config, which no other has
SEAL = "objects_seal"  # in run.json: this user's signature of all parts
_NOT_PARTS = ("name", "seed", "device", "dtype", "compile", "threads", "train", "tracking", MADE)


def missing_parts(tree: Mapping[str, Any]) -> dict[str, str]:
    """Return the parts that the config of a run of objects has no node for, and why."""
    made = tree.get(MADE, {})
    found = made.get("missing", made) if isinstance(made, dict) else {}
    if "missing" not in made and MADE in tree:  # of a time that recorded no nodes
        found = dict.fromkeys(("data", *found), "the run recorded no way to make it again")
    return {str(key): str(why) for key, why in found.items()} if isinstance(found, dict) else {}


def sealed_words(tree: Mapping[str, Any]) -> tuple[str, str]:
    """Return what the seal covers: all parts in a recorded config, and their modules."""
    parts = {key: value for key, value in tree.items() if key not in (*_NOT_PARTS, "plugins")}
    plugins = tree.get("plugins")
    modules = plugins.get("modules") if isinstance(plugins, dict) else None
    return "objects", json.dumps([parts, modules], sort_keys=True, default=str)


def without_modules(tree: dict[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """Take the modules out of a recorded config that lacks this user's seal; return them.

    They are code, and a directory of somebody else's may name any.
    """
    section = tree.get("plugins")
    if not isinstance(section, dict) or not isinstance(named := section.get("modules"), list):
        return []  # what else stands there is refused when the section is read
    if not named or is_signed(facts.get(SEAL), *sealed_words(tree)):
        return []
    tree["plugins"] = {**section, "modules": []}
    return list(map(str, named))
