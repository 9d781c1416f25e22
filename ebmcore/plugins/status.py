"""The status of a plugin: one word, the reason, and how to fix it."""

from __future__ import annotations

from enum import StrEnum
from types import ModuleType
from typing import NamedTuple

from ebmcore.plugins.find import Found


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
