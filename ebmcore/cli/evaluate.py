"""`ebmcore evaluate`: judge a trained energy on held-out data and fresh samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ebmcore.cli.output import (
    RUN_FAILED,
    Answer,
    AsJson,
    Checkpoints,
    PluginOptions,
    answering,
    out,
    say,
    table,
)
from ebmcore.cli.runs.run_dir import RunDir, named_run
from ebmcore.completion import completers

if TYPE_CHECKING:
    from ebmcore.runner.evaluation import Evaluation


@answering
def command(
    run_dir: RunDir,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Over the recorded config: monitors=[…], sampler=…, chains=…",
            autocompletion=completers.overrides,
        ),
    ] = None,
    checkpoint: Checkpoints = "last",
    plugins: PluginOptions = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same samples.")] = 0,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|NODE",
            help="Other data, to tell from the held-out points: AUROC and AUPR of the energy. A "
            "file like the run's own, or a dataset: '{type: digits}'. May be repeated.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="The labels in the files of --against, 1 for an anomaly and 0 for others: a name, "
            "or a number from 0.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> Answer:
    """Evaluate a trained energy on held-out data and samples.

    The results are in RUN_DIR/evaluation/, and in `evaluate/` of the run's MLflow run.
    Runs every installed monitor that is meant for it, or those of `monitors=[…]`; exit code 1 when
    one of them failed. With `--against` the monitor out_of_distribution runs, too; `monitors=[]`
    leaves out the others.
    """
    from ebmcore.config import parse_assignments
    from ebmcore.runner.evaluation import evaluate

    found = evaluate(
        named_run(run_dir),
        parse_assignments(overrides or []),
        plugins=plugins or (),
        seed=seed,
        checkpoint=checkpoint,
        against=[_other(text) for text in against or ()],
        label=int(label) if label and label.isdecimal() else label,
    )
    code = RUN_FAILED if found.failed else 0
    return Answer(found.document(), lambda: _show(found), code, stays=True)


def _other(text: str) -> str | dict[str, Any]:
    """Return the node that an option says, `{type: NAME, …}` or `type=NAME`, or else its path."""
    from ebmcore.config import parse_assignments

    if not text.startswith(("{", "type=")):
        return text
    if text.startswith("type="):
        return parse_assignments([text])
    node: dict[str, Any] = parse_assignments([f"against={text}"])["against"]
    return node


def _show(found: Evaluation) -> None:
    table(("metric", "value"), [(k, f"{v:.6g}") for k, v in sorted(found.metrics.items())])
    for figure in found.figures:
        out(f"picture: {figure}")
    for name, reason in found.left_out.items():
        say(f"left out: {name}: {reason}")
    for text in (*found.warnings, *found.failed.values()):
        say(f"warning: {text}")
