"""ebmcore: the runner with tracking and monitors, and the parts as a library without either.

A timed block is a whole run. Its seconds a step are read from its metrics: from the first line of
the training's metrics after `WARM` steps, when compiling is done, to the last line of all, which
stands after the last monitor. The seconds that monitors took are in it, and told apart too.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ebmcore_chains import Persistent
from ebmcore_discrete import RBM, BlockGibbs
from ebmcore_langevin import Langevin
from ebmcore_losses import contrastive_divergence
from ebmcore_nets import MLP, Conv
from ebmcore_sequence import LSTM, Transformer
from torch import Tensor, nn

import ebmcore
from speed import work as given
from speed.networks import fill
from speed.side import AbsentError, Side
from speed.work import Array, Work

WARM = 100  # training steps of a run that are not timed
SHORT = 2  # and where a step takes long
MONITORS = (  # those of examples/five_gaussians.yaml, at its cadence of 78 steps an epoch
    {"type": "energies", "every": "400 steps"},
    {"type": "landscape", "every": "1600 steps", "points": 100},
    {"type": "exact_likelihood", "every": "800 steps", "points": 121},
)


ENERGIES: dict[str, Callable[..., nn.Module]] = {
    "mlp": MLP,
    "conv": Conv,
    "lstm": LSTM,
    "transformer": Transformer,
    "rbm": RBM,
}


def settings(work: Work) -> dict[str, Any]:
    """Return the keys of the work's energy, as a config has them."""
    (width, *_), layers = work.hidden, len(work.hidden)
    of_network: dict[str, dict[str, Any]] = {
        "mlp": {"hidden": list(work.hidden), "activation": "silu"},
        "conv": {"channels": list(work.hidden), "activation": "silu", "channels_last": True},
        "lstm": {"hidden": width, "layers": layers, "bidirectional": False, "head_width": width},
        "transformer": {"width": width, "layers": layers, "heads": given.TRANSFORMER_HEADS},
        "rbm": {"hidden": width},
    }
    return of_network[work.network]


def options(function: Any, *, compiled: bool) -> dict[str, Any]:
    """Return `compile` and `threads`, as far as this checkout knows them."""
    known = signature(function).parameters
    if compiled and "compile" not in known:
        raise AbsentError("this checkout of ebmcore has no compiled step")
    return {k: v for k, v in (("compile", compiled), ("threads", 1)) if k in known}


class Library(Side):
    """The parts in an `Experiment` that is neither tracked nor watched."""

    def __init__(self, *, compiled: bool = False) -> None:
        self.compiled = compiled

    def build(self, work: Work, seed: int) -> None:
        """Make the energy; the rest is made anew by each run."""
        torch.set_num_threads(1)
        self.work, self.seed = work, seed
        self.warm = WARM if work.block >= WARM else SHORT
        self.energy: nn.Module = ENERGIES[work.network](
            event_shape=work.event_shape, **settings(work)
        )
        fill(list(self.energy.parameters()), given.weights(work, seed))

    def train(self, steps: int) -> None:
        """Train a fresh energy for so many steps."""
        with tempfile.TemporaryDirectory() as folder:
            self.result = self._run(steps, folder)

    def timed_train(self, steps: int) -> dict[str, Any]:
        """Do a whole run; return its seconds a step, monitors in and apart."""
        with tempfile.TemporaryDirectory() as folder:
            cpu = time.process_time()
            result = self._run(steps + self.warm, folder)
            cpu = time.process_time() - cpu
            return {**read_run(result.dir, self.warm), "whole_cpu": cpu}

    def energies(self, points: Array) -> Array:
        """Return the energy of each point."""
        with torch.no_grad():
            found: Array = self.energy(torch.from_numpy(points)).numpy()
        return found

    def place(self, chains: Array) -> None:
        """Put the chains that `walk` moves."""
        self.x = torch.from_numpy(chains)
        self.kernel = Langevin(self.work.step_size)
        self.generator = torch.Generator().manual_seed(self.seed)
        self.sampling = options(ebmcore.sample_chain, compiled=self.compiled)

    def walk(self, steps: int) -> Tensor:
        """Move the chains on."""
        self.x = ebmcore.sample_chain(
            self.kernel,
            self.energy,
            self.x,
            n_steps=steps,
            generator=self.generator,
            **self.sampling,
        )
        return self.x

    def _run(self, steps: int, folder: str) -> ebmcore.Run:
        work, seed = self.work, self.seed
        self.build(work, seed)
        chains = Persistent(work.chains)
        chains.load_state_dict({"buffer": torch.from_numpy(given.chains(work, seed))})
        experiment = ebmcore.Experiment(
            data=torch.from_numpy(given.data(work, seed)),
            energy=self.energy,
            loss=contrastive_divergence,
            sampler=(
                BlockGibbs(*work.hidden) if work.network == "rbm" else Langevin(work.step_size)
            ),
            chains=chains,
            optimizer=lambda parameters: torch.optim.Adam(parameters, lr=work.lr),
            n_steps=work.k,
            holdout=0.0,
            space=ebmcore.Binary() if work.network == "rbm" else ebmcore.Real(),
            seed=seed,
            **options(ebmcore.Experiment, compiled=self.compiled),
        )
        return experiment.run(
            steps=steps,
            batch_size=work.batch,
            log_every=min(50, self.warm),
            tracking="off",
            runs_dir=folder,
            progress=False,
        )


class Runner(Library):
    """A config that is run as `ebmcore run` runs it: MLflow in SQLite, monitors and pictures.

    The database is made once, by the run that warms up: it is there already when others begin.
    """

    def __init__(self, *, compiled: bool = False) -> None:
        super().__init__(compiled=compiled)
        self.store = tempfile.TemporaryDirectory()

    def _run(self, steps: int, folder: str) -> ebmcore.Run:
        work = self.work
        main = work.name == "main"  # the other sizes are watched by `energies` alone
        if work.event_shape == (2,):  # the same law, drawn by the dataset that knows its density
            data: dict[str, Any] = {"type": "gaussian_mixture", "n": work.points, "std": given.STD}
        else:
            file = Path(folder) / "events.npy"
            np.save(file, given.data(work, self.seed))
            data = {"type": "file", "path": str(file)}
        sampler: dict[str, Any] = {"type": "langevin", "step_size": work.step_size}
        if work.network == "rbm":
            sampler, data["space"] = {"type": "block_gibbs", "hidden": work.hidden[0]}, "binary"
        config = {
            "name": "speed",
            "seed": self.seed,
            "data": {**data, "holdout": 0.0},
            "energy": {"type": work.network, **settings(work)},
            "sampler": {**sampler, "n_steps": work.k},
            "chains": {"type": "persistent", "size": work.chains},
            "loss": {"type": "contrastive_divergence"},
            "optimizer": {"type": "Adam", "lr": work.lr},
            "train": {
                "steps": steps,
                "batch_size": work.batch,
                "log_every": min(50, self.warm),
            },
            "monitors": [dict(monitor) for monitor in (MONITORS if main else MONITORS[:1])],
            "tracking": {"experiment": "speed", "uri": f"sqlite:///{self.store.name}/mlflow.db"},
            **options(ebmcore.Experiment, compiled=self.compiled),
        }
        result = ebmcore.run(config, runs_dir=folder, progress=False)
        self.energy = result.energy
        return result


def read_run(folder: Path, warm: int) -> dict[str, Any]:
    """Return a run's seconds a step after `warm` steps, and its monitors' share of them."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    facts: Mapping[str, Any] = json.loads((folder / "run.json").read_text())
    first = next(line for line in lines if line["step"] >= warm and "loss" in line)
    steps = lines[-1]["step"] - first["step"]
    return {
        "steps": steps,
        "seconds": (lines[-1]["time"] - first["time"]) / steps,
        "monitors": sum(facts["seconds_by_monitor"].values()) / steps,
        "before": first["time"] - facts["started"],  # with what was compiled
        "whole": facts["seconds"],
        "warnings": facts["warnings"],
    }
