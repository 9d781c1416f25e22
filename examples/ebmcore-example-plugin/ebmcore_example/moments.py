"""`ebmcore runs moments RUN`: the mean and the covariance of the Gaussian that a run has fitted."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ebmcore import EbmError
from ebmcore.cli import Answer, AsJson, table


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's directory.")],
    as_json: AsJson = False,
) -> Answer:
    """Show the mean and the covariance of a run's quadratic energy."""
    found = moments(run)
    rows = [
        (str(i), f"{mean:.4g}", *(f"{value:.4g}" for value in row))
        for i, (mean, row) in enumerate(zip(found["mean"], found["covariance"], strict=True))
    ]
    columns = ("dimension", "mean", *(f"covariance with {i}" for i in range(len(rows))))
    return Answer(found, lambda: table(columns, rows))


def moments(run: str) -> dict[str, Any]:
    """Return both. Raises EbmError when the run's energy isn't quadratic."""
    import torch  # here, so that `--help` waits for nothing heavy

    from ebmcore import load
    from ebmcore_example.energy import Quadratic

    energy = load(run).energy
    if not isinstance(energy, Quadratic):
        raise EbmError(f"{run}: its energy is {type(energy).__name__}, not quadratic")
    factor = energy.factor.detach()
    covariance = torch.linalg.inv(factor @ factor.T)
    return {"mean": energy.mean.detach().tolist(), "covariance": covariance.tolist()}
