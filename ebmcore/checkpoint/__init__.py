"""Checkpoints: their files and the state in them.

The names below are for the kit.
"""

from ebmcore.checkpoint.serialize import pack, unpack

__all__ = ["pack", "unpack"]
