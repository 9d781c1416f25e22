"""The examples: those of the repository, which a wheel brings along."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ebmcore.errors import EbmError
from ebmcore.plugins import distribution_of

_KINDS = {  # of the nodes below a key; those of `parts` are of kinds that only their users know
    "data": "dataset", "against": "dataset", "energy": "energy", "net": "energy", "terms": "energy",
    "networks": "network", "sampler": "sampler", "kernel": "sampler", "chains": "chains",
    "rest": "chains", "loss": "loss", "monitors": "monitor", "callbacks": "callback",
    "transform": "transform", "view": "transform", "tracking": "tracker",
}  # fmt: skip


class Example(NamedTuple):
    """A config among the examples.

    Attributes:
        name: Its path below the folder of examples, without the ending.
        file: Where it is.
        text: All of it.
    """

    name: str
    file: Path
    text: str

    @property
    def about(self) -> str:
        """The first sentence of its first comment."""
        comment = re.match(r"(?:#.*\n)*", self.text)
        words = " ".join(line.strip("# ") for line in (comment[0] if comment else "").splitlines())
        return re.split(r"(?<=[.:]) |  ", f"{words} ", maxsplit=1)[0].rstrip(":")

    @property
    def tree(self) -> dict[str, Any]:
        """Its keys and values."""
        found: dict[str, Any] = yaml.safe_load(self.text)
        return found

    @property
    def is_sweep(self) -> bool:
        """Whether it is the file of a sweep, no config of a run."""
        return "space" in self.tree and "base" in self.tree

    @property
    def distributions(self) -> tuple[str, ...]:
        """The distributions of ours whose parts it names, sorted."""
        found = {distribution_of(kind, name) for kind, name in _parts(self.tree, "")}
        own = {"ebmcore-sweep"} if self.is_sweep else set()
        return tuple(sorted(own | {name for name in found if name is not None}))

    @property
    def companions(self) -> tuple[Path, ...]:
        """The files beside it that it reads, which a copy of it needs too."""
        there = (self.file.parent / name for name in _file_names(self.tree))
        return tuple(sorted({file for file in there if file.is_file()}))


def folder() -> Path:
    """Return the folder of the examples: the repository's, or the one in the wheel.

    Raises EbmError when there is none.
    """
    here = Path(__file__).resolve()
    for place in (here.parent / "examples", here.parents[3] / "examples"):
        if (place / "five_gaussians.yaml").is_file():
            return place
    raise EbmError("this installation of ebmcore-new has no examples; install it again")


def all_examples() -> tuple[Example, ...]:
    """Return the examples, sorted by their names; configs inside a plugin of its own are none."""
    top = folder()
    plugins = {file.parent for file in top.glob("*/pyproject.toml")}
    files = [file for file in top.rglob("*.yaml") if not plugins & set(file.parents)]
    names = {file.relative_to(top).with_suffix("").as_posix(): file for file in files}
    return tuple(
        Example(name, names[name], names[name].read_text("utf-8")) for name in sorted(names)
    )


def find_example(name: str) -> Example:
    """Return an example by its name, or by its last part if no other has that.

    Raises EbmError with near misses.
    """
    wanted = name.replace("\\", "/").removeprefix("examples/").removesuffix(".yaml")
    there = all_examples()
    fits = [e for e in there if e.name == wanted]
    fits = fits or [e for e in there if e.name.rpartition("/")[2] == wanted.replace("-", "_")]
    if len(fits) == 1:
        return fits[0]
    words = {word: e.name for e in there for word in (e.name, e.name.rpartition("/")[2])}
    near = [words[word] for word in difflib.get_close_matches(wanted, words, 2)]
    near = list(dict.fromkeys([e.name for e in fits] or near))
    hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise EbmError(f"no example {name!r}. {hint}`ebmcore examples` lists them")


def _parts(value: Any, kind: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of each component in a value that stands where one kind does."""
    if isinstance(value, str) and kind:
        yield kind, value
    elif isinstance(value, list):
        for entry in value:
            yield from _parts(entry, kind)
    elif isinstance(value, dict):
        if isinstance(value.get("type"), str):
            yield kind, value["type"]
        for key, entry in value.items():
            inner = _KINDS.get(key, "")
            if key == "networks" and isinstance(entry, dict):
                entry = list(entry.values())
            if isinstance(entry, dict | list) or (inner and "type" not in value):
                yield from _parts(entry, inner)


def _file_names(value: Any) -> Iterator[str]:
    """Yield the last part of every text that may name a file."""
    if isinstance(value, str) and re.fullmatch(r"[\w./-]+\.(csv|py)", value):
        yield value.rpartition("/")[2]
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _file_names(entry)
