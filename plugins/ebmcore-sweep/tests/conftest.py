"""The fixtures of the core's tests, for sweeps and groups."""

from support.fixtures import (
    config,
    ebmcore_command,
    elsewhere,
    empty_store,
    forked,
    forks,
    fresh_command,
    make_config,
    own_settings,
    store,
)

__all__ = [
    "config",
    "ebmcore_command",
    "elsewhere",
    "empty_store",
    "forked",
    "forks",
    "fresh_command",
    "make_config",
    "own_settings",
    "store",
]
