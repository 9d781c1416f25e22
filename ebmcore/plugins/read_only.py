"""A read-only view of a config: plain mappings and lists, in which a write raises TypeError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

_DICT = (
    *("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem"),
    *("setdefault", "update"),
)
_LIST = (
    *("__setitem__", "__delitem__", "__iadd__", "__imul__", "append", "clear", "extend"),
    *("insert", "pop", "remove", "reverse", "sort"),
)


def read_only(value: Any) -> Any:
    """Return a copy of plain values whose mappings and lists refuse each write, at any depth."""
    if isinstance(value, dict):
        return ReadOnlyDict({key: read_only(item) for key, item in value.items()})
    if isinstance(value, list):
        return ReadOnlyList(map(read_only, value))
    return value


def _plain(value: Any) -> Any:
    """Return a copy that can be changed."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _refuses(method: str) -> Callable[..., NoReturn]:
    def refuse(self: object, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError(
            f"the config is read-only, so {method} changes nothing in it; set the key where the "
            "config is written, raise ValueError to refuse the config, or change a copy.deepcopy"
        )

    return refuse


class ReadOnlyDict(dict[str, Any]):
    """A dict that can't be changed; a copy of it, and a pickle, is a plain one."""

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        """Return how to make a plain one."""
        return dict, (_plain(self),)


class ReadOnlyList(list[Any]):
    """A list that can't be changed; a copy of it, and a pickle, is a plain one."""

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        """Return how to make a plain one."""
        return list, (_plain(self),)


for _class, _methods in ((ReadOnlyDict, _DICT), (ReadOnlyList, _LIST)):
    for _method in _methods:
        setattr(_class, _method, _refuses(_method))
