"""Plugins in five passes over data: find, select, import, verify, register."""

from ebmcore.plugins.find import Found, find
from ebmcore.plugins.host import Component, Host
from ebmcore.plugins.select import Selection, select
from ebmcore.plugins.status import Loaded, Status

__all__ = ["Component", "Found", "Host", "Loaded", "Selection", "Status", "find", "select"]
