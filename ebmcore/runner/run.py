"""A run: its directory, status, last metrics, energy, and samples of its model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ebmcore.contracts import Chains
from ebmcore.errors import EbmError, first_line, too_large
from ebmcore.monitoring.model_samples import ModelSamples
from ebmcore.runner.memory import refuse_too_many
from ebmcore.sampling import Sampler
from ebmcore.spaces import REAL, Real, Space
from ebmcore.train.components import Parts
from ebmcore.train.rng import Streams, derive, own_global_stream


class Run:
    """One execution of one experiment, while it trains and after it ended."""

    def __init__(
        self,
        directory: Path,
        energy: nn.Module,
        *,
        bounds: Tensor,
        space: Space = REAL,
        sampler: Sampler | None = None,
        chains: Chains | None = None,
        seed: int = 0,
    ) -> None:
        self.dir = directory
        self.status = "RUNNING"
        self.ended_early = ""  # why a KILLED run ended that no signal ended: it was pruned
        self.step = 0
        self.metrics: dict[str, float] = {}  # the last value of each
        self.warnings: list[str] = []
        self.seconds_by_part: dict[str, float] = {}  # where the time went, most first
        self.skipped_checkpoints: list[str] = []  # of a loaded run: newer ones that are damaged
        self.mlflow: dict[str, str] = {}  # uri, experiment_id, run_id; empty when tracking is off
        self.energy = energy  # with the averaged weights, when the run keeps an average
        self.bounds = bounds  # (2, *event), the range of the training data
        self.space = space  # the set that events live in
        self.sampler = sampler
        self.chains = chains
        self.seed = seed

    @classmethod
    def of(cls, directory: Path, energy: nn.Module, parts: Parts, seed: int) -> Run:
        """Return the run of parts that are about to be trained."""
        return cls(
            directory,
            energy,
            bounds=parts.data.bounds,
            space=parts.data.space,
            sampler=parts.sampler,
            chains=parts.chains,
            seed=seed,
        )

    def sample(self, n: int, n_steps: int | None = None, *, seed: int = 0) -> Tensor:
        """Draw n events, (n, *event), with the run's own sampler and chains.

        Chains that remember go on from where training left them; others begin at their noise, or
        uniformly over the data's range, or over a discrete space. n_steps is ten times the
        training's by default. The same seed draws the same events. Raises EbmError when the run has
        no sampler, or there is too little memory.
        """
        if self.sampler is None or self.chains is None:
            raise EbmError(
                "this run has no sampler and chains; draw with ebmcore.sample_chain(kernel, "
                "run.energy, event_shape=…)"
            )
        device = self.bounds.device
        refuse_too_many("n", n, self.bounds[0].numel() * self.bounds.element_size())
        generator = Streams(self.seed, device)(f"samples {seed}")

        def begin(n: int) -> Tensor:
            low, high = self.bounds.unbind()
            if not isinstance(self.space, Real):
                return self.space.sample((n, *low.shape), generator, device, low.dtype)
            noise = torch.rand((n, *low.shape), generator=generator, device=device, dtype=low.dtype)
            return low + (high - low) * noise

        # a sampler may draw from torch's global generators, too
        with own_global_stream(derive(self.seed, f"samples {seed}"), device):
            samples = ModelSamples(self.energy, self.sampler, self.chains, begin, generator)
            try:
                return samples.sample(n, n_steps)
            except Exception as error:
                if not too_large(error):
                    raise
                raise EbmError(f"n: {n} events are too many: {first_line(error)}") from error

    @property
    def mlflow_run_id(self) -> str | None:
        """The id of the MLflow run, None when there is none."""
        return self.mlflow.get("run_id")

    def summary(self) -> dict[str, Any]:
        """Return what `ebmcore run --json` prints."""
        return {
            "status": self.status,
            "run_dir": str(self.dir),
            "mlflow_run_id": self.mlflow_run_id,
            "metrics": self.metrics,
            "warnings": self.warnings,
        }

    def __repr__(self) -> str:
        return f"<Run {self.dir} {self.status} at step {self.step}>"


class Listener(Protocol):
    """Is called while a run trains, in the same process, and may end it early."""

    def run_started(self, run: Run) -> None:
        """The run's directory exists and its first step is next."""

    def metrics_recorded(self, step: int, metrics: Mapping[str, float]) -> str:
        """Metrics were recorded; return why the run should end here, or an empty text."""
