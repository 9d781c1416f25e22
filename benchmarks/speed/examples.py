"""The example of five Gaussians as it is shipped, and the recipe of tutorials, to a given KL.

What is timed is everything from the start of the run, compiling and tracking too, but for the
evaluation of the KL, after each epoch, which is left out on both sides.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from speed.plain import Plain
from speed.side import Side, Timed
from speed.work import Work, kl

ROOT = Path(__file__).parents[2]
EPOCHS = 200  # of examples/five_gaussians_tutorial.yaml
TUTORIAL = Work("tutorial", leaky=True, lr=1e-4)


class Tutorial(Plain):
    """The plain loop with the numbers of examples/five_gaussians_tutorial.yaml."""

    def race(self, seed: int, scale: float) -> dict[str, Any]:
        """Train to the recipe's end; return [seconds, KL] after each epoch."""
        began = time.perf_counter()
        self.build(TUTORIAL, seed)
        aside, curve = 0.0, []
        for _ in range(max(1, round(EPOCHS * scale))):
            self.train(len(self.data) // TUTORIAL.batch)
            seconds = time.perf_counter() - began - aside
            evaluation = Timed.of(lambda: curve.append([seconds, kl(self.energies)]))  # noqa: B023
            aside += evaluation.seconds
        return {"curve": curve}


class Example(Side):
    """A config of `examples/` in the full runner."""

    def __init__(self, config: str, *, bare: bool = False) -> None:
        import torch

        torch.set_num_threads(1)
        self.config = str(ROOT / "examples" / config)
        self.store = tempfile.TemporaryDirectory()
        uri = f"sqlite:///{self.store.name}/mlflow.db"
        self.overrides: dict[str, Any] = {"tracking.uri": uri}
        if bare:
            self.overrides = {"tracking": "off", "monitors": []}

    def race(self, seed: int, scale: float) -> dict[str, Any]:
        """Train to the config's end; return [seconds, KL] after each epoch."""
        found = self._run({"seed": seed, "monitors": [{"type": "clocked_kl"}]}, scale)
        lines = [line for line in found["lines"] if "clocked_kl/kl" in line]
        curve, aside = [], 0.0
        for line in lines:
            entered, left = line["clocked_kl/entered"], line["clocked_kl/left"]
            curve.append([entered - found["started"] - aside, line["clocked_kl/kl"]])
            aside += left - entered
        return {"curve": curve, "warnings": found["warnings"]}

    def whole(self, scale: float) -> dict[str, Any]:
        """Train to the config's end; return what the run took, from the call to its return."""
        found = self._run({}, scale)
        lines = [line for line in found["lines"] if line["step"] >= 100]
        return {
            "steps": lines[-1]["step"],
            "seconds": found["wall"],
            "cpu": found["cpu"],
            "training": lines[-1]["time"] - lines[0]["time"],
            "before": lines[0]["time"] - found["started"],
            "seconds_by_monitor": found["seconds_by_monitor"],
            "warnings": found["warnings"],
        }

    def _run(self, overrides: dict[str, Any], scale: float) -> dict[str, Any]:
        import ebmcore
        from ebmcore.config import read_config

        given = {**self.overrides, **overrides}
        if scale != 1:
            epochs = read_config(self.config).tree["train"]["epochs"]
            given["train.epochs"] = max(2, round(epochs * scale))
        done: dict[str, Any] = {}
        with tempfile.TemporaryDirectory() as folder:

            def run() -> None:
                done["run"] = ebmcore.run(
                    self.config,
                    given,
                    plugins=[str(Path(__file__).with_name("clocked_kl.py"))],
                    runs_dir=folder,
                    progress=False,
                )

            took = Timed.of(run)
            place = done["run"].dir
            lines = (place / "metrics.jsonl").read_text().splitlines()
            facts = json.loads((place / "run.json").read_text())
        return {
            **facts,
            "lines": [json.loads(line) for line in lines],
            "wall": took.seconds,
            "cpu": took.cpu,
        }
