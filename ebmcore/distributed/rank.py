"""The rank of this process, read here alone from the environment that `torchrun` sets."""

from __future__ import annotations

import os
from typing import NamedTuple

from ebmcore.errors import ConfigError, EbmError, Problem


class RankInfo(NamedTuple):
    """One process among those that train a run together."""

    rank: int = 0  # 0 owns the run directory, the figures and MLflow
    size: int = 1
    local: int = 0  # the rank on this machine, and the number of its GPU

    @classmethod
    def require_one_process(cls, what: str) -> None:
        """Raise EbmError when this process is one of several ranks."""
        size = cls.from_environment().size
        if size > 1:
            raise EbmError(
                f"{what} can't run under torchrun (WORLD_SIZE={size}); start one process"
            )

    @classmethod
    def from_environment(cls) -> RankInfo:
        """Read RANK, WORLD_SIZE and LOCAL_RANK; without MASTER_ADDR a process is alone.

        Raises ConfigError when one is not a whole number, or RANK is not below WORLD_SIZE.
        """
        if not os.environ.get("MASTER_ADDR") or "WORLD_SIZE" not in os.environ:
            return cls()
        size = _number("WORLD_SIZE", 1)
        if size == 1:
            return cls()
        rank = _number("RANK", 0)
        if rank >= size:
            _refuse("RANK", f"should be below WORLD_SIZE, {size}; got {rank}")
        _number(
            "MASTER_PORT", 1
        )  # ranks can't connect to port 0, as torchrun sets with --master-port=0
        return cls(rank, size, _number("LOCAL_RANK", 0, str(rank)))


def speaks() -> bool:
    """Whether this process prints its answer: not when it is a rank besides rank 0 of torchrun's.

    Rank 0 says what any of them has to say, but for that they can't reach it.
    """
    rank, size = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if "MASTER_ADDR" not in os.environ or not (rank.isdecimal() and size.isdecimal()):
        return True  # it is alone, or is to say that they should be numbers
    return not 0 < int(rank) < int(size)


def ranks_of_one_machine() -> int:
    """Return how many ranks torchrun started, all on this machine; 1 when it didn't."""
    size, here = os.environ.get("WORLD_SIZE", "1"), os.environ.get("LOCAL_WORLD_SIZE")
    return int(size) if "MASTER_ADDR" in os.environ and size == here and size.isdecimal() else 1


def _number(name: str, least: int, default: str = "") -> int:
    text = os.environ.get(name, default)
    if not text.isdecimal() or int(text) < least:
        _refuse(name, f"should be a whole number of at least {least}; got {text!r}")
    return int(text)


def _refuse(name: str, message: str) -> None:
    raise ConfigError([Problem(name, message, "the environment of torch.distributed:")])
