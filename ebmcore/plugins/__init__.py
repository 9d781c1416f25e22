"""Plugins in five passes over data: find, select, import, verify, register."""

from ebmcore.plugins.find import Found, find, find_installed, installed_twice
from ebmcore.plugins.host import Component, Host
from ebmcore.plugins.select import Selection, find_selected, select
from ebmcore.plugins.status import Loaded, Status

__all__ = [
    "Component",
    "Found",
    "Host",
    "Loaded",
    "Selection",
    "Status",
    "find",
    "find_installed",
    "find_selected",
    "installed_twice",
    "select",
]
