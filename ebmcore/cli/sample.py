"""`ebmcore sample`: draw from a trained energy."""

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
    n: Annotated[int, typer.Option("-n", min=1, help="How many events.")] = 1000,
    output: Annotated[str, typer.Option("-o", "--output", help="An .npz file.")] = "samples.npz",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Sampler steps; by default ten times the training's.")
    ] = None,
    y: Annotated[
        float | None, typer.Option("--y", help="The label of all events, of an energy of labels.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same events.")] = 0,
    checkpoint: Checkpoints = "last",
    force: Force = False,
    plugins: PluginOptions = None,
    as_json: AsJson = False,
) -> Answer:
    """Draw events from a trained energy into an .npz file.

    The file holds the arrays x and energy, y where the events have labels, and mask where some of
    their steps don't count. x has the units of the data: transforms are undone.
    """
    import numpy as np
    import torch

    from ebmcore.output_file import output_file, writing
    from ebmcore.runner.api import load
    from ebmcore.sampling import of_chains

    with output_file(output, ".npz", force=force) as draft:
        folder = named_run(run_dir)
        run = load(folder, plugins=plugins or (), checkpoint=checkpoint)
        for text in run.skipped_checkpoints:
            say(f"warning: {text}")
        label = int(y) if y is not None and y.is_integer() else y
        drawn = run.draw(n, steps, seed=seed, y=label)
        x, given = drawn.x, drawn.conditions
        with torch.no_grad():
            chunks = [slice(i, i + 4096) for i in range(0, n, 4096)]
            energies = torch.cat(
                [of_chains(run.energy, given.rows(chunk))(x[chunk]) for chunk in chunks]
            )
        stopped = ""
        if run.transforms.parts:
            x, stopped = run.transforms.undone(x, mask=given.mask)
        if stopped:
            say(f"warning: transform {stopped} has no inverse, so x has its units, not the data's")
        beside = {name: rows for name, rows in given._asdict().items() if rows is not None}
        arrays = {"x": x, "energy": energies, **beside}
        with writing(output), draft.open("wb") as file:
            np.savez(file, **{name: rows.cpu().numpy() for name, rows in arrays.items()})
    found = {"run_dir": str(folder), "output": output, "n": n, "shape": list(x.shape)}
    text = f"{n} events of shape {tuple(x.shape[1:])} in {output}"
    return Answer(found, lambda: out(text), stays=True)
