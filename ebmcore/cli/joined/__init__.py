"""Commands of plugins, which join the core's."""

from ebmcore.cli.joined.group import JoinedGroup

__all__ = ["JoinedGroup"]
