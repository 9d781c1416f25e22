"""Plugins in five passes over data: find, select, import, verify, register."""

from ebmcore.plugins.find import Found, find, find_installed
from ebmcore.plugins.host import Component, Host
from ebmcore.plugins.select import Loaded, Selection, Status, find_selected, select
from ebmcore.plugins.suggestions import distribution_of

__all__ = [
    "Component",
    "Found",
    "Host",
    "Loaded",
    "Selection",
    "Status",
    "distribution_of",
    "find",
    "find_installed",
    "find_selected",
    "select",
]
