"""`ebmcore new`: begin a config, from your data, from an example, or from the first one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from ebmcore.cli import Answer, AsJson, out
from ebmcore.errors import EbmError

_ENDINGS = (".yaml", ".yml")


def command(
    config: Annotated[str, typer.Argument(metavar="CONFIG.yaml", help="The file to write.")],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Your data: a table, an array (.npy, .npz, .pt) or a folder of images.",
            show_default=False,
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="EXAMPLE",
            help="Copy this example; `ebmcore examples` lists them.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> Answer:
    """Write a commented config that trains on your data.

    It looks at the data, chooses a recipe, and says why beside each line. It overwrites no file.
    """
    target = Path(config)
    if data is not None and like is not None:
        raise EbmError("give --data or --like, not both: an example has data of its own")
    _check_place(target)
    files, start = {target: ""}, "run"
    decide: tuple[str, ...] = ()
    if like is not None:
        files, start = _copied(like, target)
    elif data is not None:
        files[target], decide = _from_data(Path(data), target)
    else:
        from ebmcore_new.recipes.first import FIRST
        from ebmcore_new.write import name_of

        files[target] = FIRST.format(config=target, name=name_of(target))
    _write(files)
    found = {
        "config": str(target),
        "files": [str(file) for file in files],
        "decide": list(decide),
        "next": f"ebmcore {start} {shlex.quote(str(target))}",
    }
    return Answer(found, lambda: _show(found), stays=True)


def _from_data(data: Path, target: Path) -> tuple[str, tuple[str, ...]]:
    from ebmcore_new.look.data import look
    from ebmcore_new.write import config_for, verify

    seen = look(data)
    text = config_for(seen, target)
    verify(text, target)
    return text, seen.decide


def _copied(like: str, target: Path) -> tuple[dict[Path, str], str]:
    """Return the files of a copied example, and the command that takes it."""
    from ebmcore_new.installed import find_example, folder
    from ebmcore_new.write import name_of

    example = find_example(like)
    text = example.text.replace(f"examples/{example.name}.yaml", str(target))
    text = re.sub(r"^name: .*", f"name: {name_of(target)}", text, count=1, flags=re.MULTILINE)
    files = {target: text}
    for file in example.companions:
        copy = target.parent / file.name
        # data files are found from the working directory, plugin files from the config's folder
        there = re.escape(file.relative_to(folder().parent).as_posix())
        text = re.sub(rf"\b{there}( # from the root.*)?", str(copy), text)
        files[copy] = file.read_text("utf-8")
    files[target] = text
    return files, "sweep" if example.is_sweep else "run"


def _check_place(target: Path) -> None:
    """Refuse a config that can't be written, before the data are read."""
    if target.suffix.lower() not in _ENDINGS:
        raise EbmError(f"{str(target)!r} should be a new file that ends in .yaml")
    if not target.parent.is_dir():
        raise EbmError(f"there is no folder {str(target.parent)!r} to write {target.name!r} into")
    if target.exists() or target.is_symlink():
        raise EbmError(f"{str(target)!r} exists already; choose another name")


def _write(files: dict[Path, str]) -> None:
    """Write the files, none over another one; files that are there as they should be stay."""
    new = {file: text for file, text in files.items() if not _is_there(file, text)}
    for file, text in new.items():
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)


def _is_there(file: Path, text: str) -> bool:
    if not file.exists() and not file.is_symlink():
        return False
    if file.is_file() and file.read_text("utf-8", errors="replace") == text:
        return True
    raise EbmError(f"{str(file)!r} exists already and is another file; choose another folder")


def _show(found: dict[str, Any]) -> None:
    written = " and ".join(found["files"])
    out(f"{written} {'are' if len(found['files']) > 1 else 'is'} written.")
    for text in found["decide"]:
        out(f"Decide: {text}")
    out(f"Next:\n\n    {found['next']}")
