"""`ebmcore sample`: draw from a trained energy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ebmcore.cli.output import Answer, AsJson, Checkpoints, PluginOptions, answering, out, say
from ebmcore.cli.runs.run_dir import RunDir, named_run
from ebmcore.errors import EbmError


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
    plugins: PluginOptions = None,
    as_json: AsJson = False,
) -> Answer:
    """Draw events from a trained energy into an .npz file.

    The file holds the arrays x and energy, y where the events have labels, and mask where some of
    their steps don't count. x has the units of the data: transforms are undone.
    """
    import numpy as np
    import torch

    from ebmcore.runner.api import load
    from ebmcore.sampling import of_chains

    file = Path(output)
    if file.suffix != ".npz":
        raise EbmError(f"{file}: should end in .npz")
    check_writable(file)
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
    stopped_at = ""
    if run.transforms.parts:
        x, stopped_at = run.transforms.undone(x, mask=given.mask)
    if stopped_at:
        say(f"warning: transform {stopped_at} has no inverse, so x has its units, not the data's")
    beside = {name: rows for name, rows in given._asdict().items() if rows is not None}
    arrays = {"x": x, "energy": energies, **beside}
    try:
        np.savez(file, **{k: v.cpu().numpy() for k, v in arrays.items()})
    except OSError as error:  # a full disk
        raise EbmError(f"{file}: can't be written: {error.strerror or error}") from error
    found = {"run_dir": str(folder), "output": str(file), "n": n, "shape": list(x.shape)}
    text = f"{n} events of shape {tuple(x.shape[1:])} in {file}"
    return Answer(found, lambda: out(text), stays=True)


def check_writable(file: Path) -> None:
    """Raise EbmError when a file can't be written, before anything is computed for it."""
    try:
        if not file.parent.is_dir():
            raise EbmError(f"{file}: no such folder {file.parent}")
        there = file.exists()
        with file.open("ab"):
            pass
        if not there:
            file.unlink()
    except (OSError, ValueError) as error:  # ValueError: a null byte
        reason = getattr(error, "strerror", None) or error
        raise EbmError(f"{file}: can't be written: {reason}") from error
