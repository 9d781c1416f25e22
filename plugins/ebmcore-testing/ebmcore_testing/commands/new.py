"""`ebmcore plugins new`: write a distribution that offers one part, to build a plugin on.

The templates are the files below `ebmcore_testing/scaffold/`: those in `common` and those of the
kind, with `$placeholders` as string.Template has them. A folder `package` stands for the import
name.
"""

from __future__ import annotations

import difflib
import importlib.util
import keyword
import re
import shlex
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple

import typer

from ebmcore.cli import Answer, AsJson, out
from ebmcore.errors import EbmError
from ebmcore.kinds import KINDS


class Names(NamedTuple):
    """The names of a new plugin; each field is a placeholder in the templates."""

    distribution: str  # for pip
    package: str  # for import
    plugin: str  # the entry point's name, which stands before the colon in a config
    kind: str


def command(
    name: Annotated[str, typer.Argument(help="The distribution's name, such as my-energies.")],
    kind: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="What it offers: energy, network, sampler, chains, loss, monitor, dataset or "
            "transform.",
            show_default=False,
        ),
    ],
    into: Annotated[
        str, typer.Option(metavar="FOLDER", help="Where the new folder goes.", show_default=False)
    ] = ".",
    as_json: AsJson = False,
) -> Answer:
    """Write a new plugin that installs and passes its tests."""
    names = name_all(name, kind)
    folder = Path(into) / name
    check_place(folder)
    check_free(names)
    written = write(render(names), folder)
    found = {"folder": str(folder), "files": written}
    return Answer(found, lambda: _show(found, name), stays=True)


def name_all(name: str, kind: str) -> Names:
    """Derive the import name and the plugin's name. Raises EbmError when one is no good."""
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, 1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise EbmError(f"--kind: no kind {kind!r}. {hint}There are: {', '.join(KINDS)}.")
    # the form of a distribution's name in PEP 508
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        raise EbmError(
            f"{name!r} is no name for a distribution: it should be ASCII letters, digits, '-', '_' "
            "and '.', with a letter or a digit at both ends, such as my-energies"
        )
    plain = re.sub(r"[-_.]+", "-", name).lower()
    package = plain.replace("-", "_")
    if keyword.iskeyword(package) or not package.isidentifier():
        package = f"ebm_{package}"
    if package == "tests":
        raise EbmError(f"{name!r} would be imported as 'tests', where its tests go; choose another")
    return Names(name, package, plain.removeprefix("ebmcore-"), kind)


def check_place(folder: Path) -> None:
    """Raise EbmError when there is no place for a new folder."""
    try:
        is_place, is_taken = folder.parent.is_dir(), folder.exists() or folder.is_symlink()
    except (OSError, ValueError) as error:  # too long a name
        reason = getattr(error, "strerror", None) or error
        raise EbmError(f"can't write {str(folder)!r}: {reason}") from error
    if not is_place:
        raise EbmError(f"there is no folder {str(folder.parent)!r} to write {folder.name!r} into")
    if is_taken:
        raise EbmError(f"{str(folder)!r} exists already; choose another name, or --into FOLDER")


def check_free(names: Names) -> None:
    """Raise EbmError when an installed module or plugin has one of the names."""
    from ebmcore.plugins import find_installed

    spec = importlib.util.find_spec(names.package)
    if spec is not None and spec.origin is not None:  # a mere folder nearby has no origin
        raise EbmError(
            f"{names.distribution!r} would be imported as {names.package!r}, and a module of that "
            "name is installed already; choose another name"
        )
    for plugin in find_installed():
        if plugin.name == names.plugin:
            raise EbmError(
                f"{plugin.origin} has a plugin named {names.plugin!r} already; choose another name"
            )


def render(names: Names) -> dict[str, str]:
    """Return the text of each file of a new plugin, by its path in the plugin's folder."""
    scaffold = files("ebmcore_testing") / "scaffold"
    found = {}
    for folder in (scaffold / "common", scaffold / names.kind):
        for path, template in _templates(folder):
            place = re.sub("^package/", f"{names.package}/", path.removesuffix(".tmpl"))
            found[place] = Template(template.read_text("utf-8")).substitute(names._asdict())
    return dict(sorted(found.items()))


def _templates(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        path = f"{above}{entry.name}"
        if entry.is_dir():
            yield from _templates(entry, f"{path}/")
        elif path.endswith(".tmpl"):
            yield path, entry


def write(texts: dict[str, str], folder: Path) -> list[str]:
    """Write the files into a new folder, all or none; return their paths. Raises EbmError."""
    try:
        # written beside and then renamed, so that nothing is ever there by halves
        with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
            draft = Path(beside) / folder.name
            for place, text in texts.items():
                (draft / place).parent.mkdir(parents=True, exist_ok=True)
                (draft / place).write_text(text, encoding="utf-8")
            draft.rename(folder)
    except OSError as error:
        raise EbmError(f"can't write {str(folder)!r}: {error.strerror}") from error
    return list(texts)


def _show(found: dict[str, Any], name: str) -> None:
    folder = shlex.quote(found["folder"])
    out(f"{found['folder']} is written. Next:\n")
    for line in (f"pip install -e {folder}", f"pytest {folder}", f"ebmcore check {name}"):
        out(f"    {line}")
