"""`ebmcore sample`: draw from a trained energy."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

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
    table,
)
from ebmcore.cli.runs.run_dir import RunDir, named_run

if TYPE_CHECKING:
    from torch import Tensor

    from ebmcore.runner.results.draws import Draws
    from ebmcore.runner.run import Run

_SECONDS = 10.0  # between two lines that say how far it is


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
    diagnose: Annotated[
        bool, typer.Option("--diagnose", help="Follow 64 such chains: do they agree? With plots.")
    ] = False,
    checkpoint: Checkpoints = "last",
    force: Force = False,
    plugins: PluginOptions = None,
    as_json: AsJson = False,
) -> Answer:
    """Draw events from a trained energy into an .npz file.

    The file holds the arrays x and energy, y where the events have labels, and mask where some of
    their steps don't count. x has the units of the data: transforms are undone. More than 100,000
    events are drawn and written in pieces. With --diagnose it prints R-hat, effective sample sizes
    and Monte Carlo errors of chains like those of the events, and writes plots of their traces,
    ranks and energies beside the file.
    """
    from ebmcore.output_file import output_file, writing
    from ebmcore.runner.api import load

    with output_file(output, ".npz", force=force) as draft:
        folder = named_run(run_dir)
        run = load(folder, plugins=plugins or (), checkpoint=checkpoint)
        for text in run.skipped_checkpoints:
            say(f"warning: {text}")
        label = int(y) if y is not None and y.is_integer() else y
        draws = run.draws(n, steps, seed=seed, y=label)
        if draws.warning:
            say(f"warning: {draws.warning}")
        diagnosis = diagnose_chains(draws, output, force=force) if diagnose else {}
        with writing(output), draft.open("wb") as file:
            shape = write_draws(file, run, draws)
    found = {"run_dir": str(folder), "output": output, "n": n, "shape": shape, **diagnosis}

    def show() -> None:
        if diagnose:
            show_diagnosis(diagnosis)
        out(f"{n} events of shape {tuple(shape[1:])} in {output}")

    return Answer(found, show, stays=True)


def diagnose_chains(draws: Draws, output: str, *, force: bool) -> dict[str, Any]:
    """Judge chains like those of the events; write the plots beside the file of these."""
    from ebmcore.output_file import output_file
    from ebmcore.runner.results.diagnosis import diagnosed

    metrics, pictures = diagnosed(draws)
    figures = []
    for name, png in pictures.items():
        figure = str(Path(output).with_suffix(f".{name}.png"))
        with output_file(figure, ".png", force=force) as draft:
            draft.write_bytes(png)
        figures.append(figure)
    return {"diagnosis": metrics, "figures": figures}


def show_diagnosis(diagnosis: dict[str, Any]) -> None:
    """Print a row for each number that was followed, and where the plots are."""
    rows: dict[str, dict[str, float]] = {}
    for name, value in diagnosis["diagnosis"].items():
        statistic, _, number = name.rpartition("_")
        rows.setdefault(number, {})[statistic] = value
    heads = list(dict.fromkeys(statistic for row in rows.values() for statistic in row))
    cells = [
        (number, *(f"{row[s]:.4g}" if s in row else "" for s in heads))
        for number, row in rows.items()
    ]
    table(("", *heads), cells)
    for figure in diagnosis["figures"]:
        out(f"picture: {figure}")


def write_draws(file: IO[bytes], run: Run, draws: Draws) -> list[int]:
    """Write events to an .npz file as they are drawn; return the shape of x."""
    import torch

    from ebmcore.sampling import of_chains

    stopped, done, said = "", 0, time.monotonic()
    beside: dict[str, list[Tensor]] = {}
    shape: list[int] = []
    with zipfile.ZipFile(file, "w") as archive:
        with archive.open("x.npy", "w", force_zip64=True) as member:
            for drawn in draws:
                x, given = drawn.x, drawn.conditions
                chunks = [slice(i, i + 4096) for i in range(0, len(x), 4096)]
                with torch.no_grad():
                    energy = [of_chains(run.energy, given.rows(c))(x[c]) for c in chunks]
                if run.transforms.parts:
                    x, stopped = run.transforms.undone(x, mask=given.mask)
                for name, rows in {"energy": torch.cat(energy), **given._asdict()}.items():
                    if rows is not None:
                        beside.setdefault(name, []).append(rows)
                shape = shape or [draws.n, *x.shape[1:]]
                _write_array(member, x, [] if done else shape)
                done += len(x)
                if done < draws.n and time.monotonic() - said > _SECONDS:
                    said = time.monotonic()
                    say(f"{done} of {draws.n} events are drawn")
        for name, pieces in beside.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                rows = torch.cat(pieces)
                _write_array(member, rows, list(rows.shape))
    if stopped:
        say(f"warning: transform {stopped} has no inverse, so x has its units, not the data's")
    return shape


def _write_array(member: IO[bytes], rows: Tensor, shape: list[int]) -> None:
    """Write rows of an array in NumPy's format, after its header if the shape of all is given."""
    from numpy.lib import format as numpy_format

    array = rows.cpu().contiguous().numpy()
    if shape:
        header = numpy_format.header_data_from_array_1_0(array)
        numpy_format.write_array_header_1_0(member, {**header, "shape": tuple(shape)})
    member.write(array.tobytes())
