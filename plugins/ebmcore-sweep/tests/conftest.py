"""The fixtures of the core's tests, for sweeps and groups."""

from support.fixtures import *  # noqa: F403 (its __all__ lists the fixtures)
