"""Which rank of how many this process is, as `torchrun` tells it by environment variables."""

from __future__ import annotations

import os
from typing import NamedTuple

from ebmcore.errors import ConfigError, EbmError, Problem


class Place(NamedTuple):
    """One process among those that train a run together."""

    rank: int = 0  # 0 owns the run directory, the figures and MLflow
    size: int = 1
    local: int = 0  # the rank on this machine, and the number of its GPU

    @classmethod
    def refuse_several(cls, what: str) -> None:
        """Raise EbmError when this is one of several ranks, which can't do this together."""
        size = cls.here().size
        if size > 1:
            raise EbmError(f"{what} is begun by one process; here are {size} ranks of torchrun")

    @classmethod
    def here(cls) -> Place:
        """Read RANK, WORLD_SIZE and LOCAL_RANK; without MASTER_ADDR a process is alone.

        Raises ConfigError when they are no whole numbers that fit each other.
        """
        if not os.environ.get("MASTER_ADDR") or "WORLD_SIZE" not in os.environ:
            return cls()
        size = _number("WORLD_SIZE", 1)
        if size == 1:
            return cls()
        rank = _number("RANK", 0)
        if rank >= size:
            _refuse("RANK", f"should be below WORLD_SIZE, {size}; got {rank}")
        _number("MASTER_PORT", 1)  # at 0, as torchrun's --master-port=0 has it, nobody is found
        return cls(rank, size, _number("LOCAL_RANK", 0, str(rank)))


def _number(name: str, least: int, default: str = "") -> int:
    text = os.environ.get(name, default)
    if not text.isdecimal() or int(text) < least:
        _refuse(name, f"should be a whole number of at least {least}; got {text!r}")
    return int(text)


def _refuse(name: str, message: str) -> None:
    raise ConfigError([Problem(name, message, "the environment of torch.distributed:")])
