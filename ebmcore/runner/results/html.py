"""A run in a notebook: its status, its last metrics and its last pictures."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ebmcore.errors import DirectoryError
from ebmcore.masking import mask
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.terminal import clean

_PICTURES, _BYTES = 6, 2_000_000  # of pictures in a cell, so that notebooks stay small
_PNG = b"\x89PNG\r\n\x1a\n"


def run_html(
    run_dir: Path,
    status: str,
    step: int,
    metrics: Mapping[str, float],
    figures: Mapping[str, Sequence[Path]],
    warnings: Sequence[str],
) -> str:
    """Return HTML of a run, which holds all that it shows."""
    rows = "".join(
        f'<tr><td style="text-align:left">{_text(name)}</td><td>{value:.6g}</td></tr>'
        for name, value in sorted(metrics.items())
    )
    head = f"<b>{_text(status)}</b> at step {step:,} &nbsp; <code>{_text(run_dir)}</code>"
    heads = '<tr><th style="text-align:left">metric</th><th>last value</th></tr>'
    table = f"<table><thead>{heads}</thead><tbody>{rows}</tbody></table>" if rows else ""
    if len(metrics) > 12:
        table = f"<details><summary>{len(metrics)} metrics</summary>{table}</details>"
    said = "".join(f"<li>{_text(text)}</li>" for text in dict.fromkeys(warnings))
    told = f"<details><summary>{len(warnings)} warnings</summary><ul>{said}</ul></details>"
    pictures = "".join(_pictures(run_dir, figures))
    return f"<div><p>{head}</p>{told if said else ''}{table}<div>{pictures}</div></div>"


def _pictures(run_dir: Path, figures: Mapping[str, Sequence[Path]]) -> list[str]:
    """Return the last picture of each monitor, as many as fit."""
    found: list[str] = []
    room, files = _BYTES, SafeFiles(run_dir)
    for name, paths in figures.items():
        with suppress(OSError, DirectoryError):
            content = files.read(paths[-1].relative_to(run_dir).as_posix(), room)
            if not content.startswith(_PNG) or len(found) == _PICTURES:
                continue
            room -= len(content)
            body = base64.b64encode(content).decode()
            what = f"{_text(name)}, {_text(paths[-1].stem)}"
            found.append(
                f'<figure style="display:inline-block;margin:0 1em 1em 0;max-width:22em">'
                f'<img style="max-width:100%" alt="{what}" src="data:image/png;base64,{body}">'
                f"<figcaption>{what}</figcaption></figure>"
            )
    return found


def _text(value: object) -> str:
    return html.escape(clean(mask(str(value))))
