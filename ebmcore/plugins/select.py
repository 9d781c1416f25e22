"""Decide which of the found plugins to load; each gets a status, the reason and how to fix it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import ModuleType
from typing import NamedTuple

from ebmcore.plugins.find import Found, find


class Status(StrEnum):
    """How the loading of one plugin ended."""

    OK = "ok"
    BLOCKED = "blocked"
    NOT_SELECTED = "not_selected"
    WRONG_API = "wrong_api"
    UNMET_REQUIREMENT = "unmet_requirement"
    IMPORT_ERROR = "import_error"
    INVALID = "invalid"
    CONFLICT = "conflict"


class Loaded(NamedTuple):
    """A found plugin and its status; `module` is set once it was imported."""

    found: Found
    status: Status = Status.OK
    reason: str = ""
    module: ModuleType | None = None

    def failed(self, status: Status, reason: str) -> Loaded:
        """Return the same plugin with a failure and its reason."""
        return self._replace(status=status, reason=reason)

    @property
    def is_failure(self) -> bool:
        """Tell whether the plugin failed, rather than being left out on purpose."""
        return self.status not in (Status.OK, Status.BLOCKED, Status.NOT_SELECTED)


class Selection(NamedTuple):
    """The user's choice of plugins; an empty selection takes every installed plugin."""

    require: tuple[str, ...] = ()  # must load, by plugin or distribution name
    disable: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    only: tuple[str, ...] = ()  # if given, the other installed plugins are left out
    modules: tuple[str, ...] = ()  # plain modules, whose classes and functions may be named

    @classmethod
    def from_options(
        cls, options: Iterable[str], environment: Mapping[str, str] | None = None
    ) -> Selection:
        """Read `-p` options (`NAME`, `no:NAME`, `module:NAME`, `./file.py`) and the environment.

        EBMCORE_PLUGINS names the only installed plugins to load, EBMCORE_DISABLE_PLUGINS those to
        leave out; both are lists separated by commas.
        """
        environment = os.environ if environment is None else environment
        require, files, modules = [], [], []
        disable = _names(environment.get("EBMCORE_DISABLE_PLUGINS", ""))
        for option in options:
            if option.startswith("no:"):
                disable.append(option.removeprefix("no:"))
            elif option.startswith("module:"):
                modules.append(option.removeprefix("module:"))
            elif option.endswith(".py") or os.sep in option:
                files.append(option)
            else:
                require.append(option)
        only = _names(environment.get("EBMCORE_PLUGINS", ""))
        return cls(tuple(require), tuple(disable), tuple(files), tuple(only), tuple(modules))

    def merged(self, other: Selection) -> Selection:
        """Return both selections together."""
        return Selection(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def find_selected(selection: Selection) -> tuple[Loaded, ...]:
    """Find the installed plugins and the selection's files, and mark what becomes of each."""
    return select(find(selection.files), selection)


def select(found: Iterable[Found], selection: Selection) -> tuple[Loaded, ...]:
    """Mark each plugin as selected, blocked, left out, or in conflict with another of its name."""
    found = tuple(found)
    claims: dict[str, list[Found]] = {}
    for plugin in found:
        if plugin.api == max(other.api for other in found if other.name == plugin.name):
            claims.setdefault(plugin.name, []).append(plugin)
    return tuple(
        _classify(plugin, claims.get(plugin.name, [plugin]), selection) for plugin in found
    )


def _classify(plugin: Found, claims: list[Found], selection: Selection) -> Loaded:
    names = {plugin.name, plugin.distribution} - {""}
    loaded = Loaded(plugin)
    if names & set(selection.disable):
        return loaded.failed(Status.BLOCKED, "disabled by -p no:…, the config or the environment")
    wanted = {*selection.only, *selection.require}
    if selection.only and not plugin.is_file and not names & wanted:
        return loaded.failed(Status.NOT_SELECTED, "EBMCORE_PLUGINS names others")
    if plugin.is_file and any(not claim.is_file for claim in claims):
        reason = f"an installed plugin is named {plugin.name!r} too; rename the file"
        return loaded.failed(Status.CONFLICT, reason)
    claims = [claim for claim in claims if claim.is_file == plugin.is_file]
    if len(claims) > 1 and plugin in claims:
        claimants = ", ".join(sorted(claim.origin for claim in claims))
        mend = "rename" if plugin.is_file else "uninstall"
        return loaded.failed(
            Status.CONFLICT, f"the name {plugin.name!r} is claimed by {claimants}; {mend} one"
        )
    return loaded


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
