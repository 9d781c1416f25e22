"""`ebmcore report`: runs on one HTML page that needs no network."""

from __future__ import annotations

from typing import Annotated

import typer

from ebmcore.cli import Answer, AsJson, Force, named_run, out


def command(
    run_dirs: Annotated[
        list[str],
        typer.Argument(metavar="RUN_DIR...", help="Run directories, or `last`: the newest run's."),
    ],
    output: Annotated[str, typer.Option("-o", "--output", help="An .html file.")] = "report.html",
    force: Force = False,
    as_json: AsJson = False,
) -> Answer:
    """Write runs to one HTML page that needs no network.

    It has their curves, pictures and animations, warnings, sampler health, time and config. Several
    runs stand side by side, and a group of seeds or a sweep is shown by its children.
    """
    from ebmcore_report.report import write_report

    report = write_report([named_run(text) for text in run_dirs], output, force=force)
    found = {
        "output": str(report.path),
        "run_dirs": [str(path) for path in report.run_dirs],
        "bytes": report.size,
    }
    n = len(report.run_dirs)
    text = f"{n} run{'' if n == 1 else 's'} in {report.path} ({report.size / 1e6:.1f} MB)"
    return Answer(found, lambda: out(text), stays=True)
