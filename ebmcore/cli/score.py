"""`ebmcore score`: how unusual new points are to a trained energy."""

from __future__ import annotations

from typing import Annotated

import typer

from ebmcore.cli.output import (
    Answer,
    AsJson,
    Checkpoints,
    Force,
    PluginOptions,
    answering,
    out,
    say,
)
from ebmcore.cli.runs.run_dir import RunDir, named_run


@answering
def command(
    run_dir: RunDir,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="New points, as the run's data are written.")
    ],
    output: Annotated[
        str, typer.Option("-o", "--output", help="A .csv, .npz or .parquet file.")
    ] = "scores.csv",
    percentile: Annotated[
        bool,
        typer.Option(
            "--percentile/--no-percentile", help="Compare with held-out points of the run's data."
        ),
    ] = True,
    checkpoint: Checkpoints = "last",
    force: Force = False,
    plugins: PluginOptions = None,
    as_json: AsJson = False,
) -> Answer:
    """Score new points: energy, norm of its gradient, percentile among held-out points.

    Points are in the units of the data; their energy counts the transforms: E(T(x)) - log |det T'|.
    The percentile is the share of held-out points whose energy is at most as high: 100 is unusual.
    """
    from ebmcore.runner.api import load
    from ebmcore.runner.scoring import write_scores

    folder = named_run(run_dir)
    with write_scores(output, beside=file, force=force) as table:
        run = load(folder, plugins=plugins or (), checkpoint=checkpoint)
        scorer = run.scorer(percentile=percentile)
        points = run.points(file)
        infinite = 0
        for scores in scorer.parts(points):
            infinite += int((~scores.energy.isfinite()).sum())
            table.add(scores, points.ids)
    warnings = [*run.skipped_checkpoints, *scorer.warnings, *points.warnings]
    if infinite:
        warnings.append(f"the energy of {infinite} of {table.rows} points is NaN or infinite")
    for text in warnings:
        say(f"warning: {text}")
    found = {
        "run_dir": str(folder),
        "output": output,
        "n": table.rows,
        "columns": table.columns,
        "held_out": 0 if scorer.reference is None else len(scorer.reference),
        "warnings": warnings,
    }
    text = f"{table.rows} points with {', '.join(table.columns[1:])} in {output}"
    return Answer(found, lambda: out(text), stays=True)
