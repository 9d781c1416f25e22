"""The likelihood of a model of many bits, by importance sampling from the exact law of its data.

    log Z ≈ log 1/n Σ exp(-E(x))/q(x),  x ~ q = (1 - ε) p + ε uniform
    KL(p‖model) ≈ mean log p(x) + E(x) + log Z,  x ~ p
    nll = KL + H(p)

p is the dataset's law, and H its exact entropy, which is the floor. q's draws from p serve both
lines: where the model is near p, their errors cancel. Mass of the model that neither p nor the
uniform law hits would be missed; to see that there is none, log Z is computed once more from the
model's own samples, -log mean p(x) exp(E(x)), which such mass would set apart.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from ebmcore import Binary, Energy, PositiveInt, RunView

CHUNK = 2**13  # events of one call of the energy


class ImportanceLikelihood:
    """Likelihood by importance sampling from the data's exact law and a uniform part.

    - `nll` and `kl`, in nats, and `kl_error`, the standard error of both; `entropy`, the floor.
    - `log_z`, its error `log_z_error`, and `ess`, (Σ w)²/Σ w² of the 2n draws.
    - `log_z_samples` and `log_z_samples_error`: log Z of samples of the model, and its error.

    Args:
        n: Draws of the data's law, and as many uniform ones.
        samples: Samples of the model.
        n_steps: Sampler steps for each sample.
    """

    every = "end"
    spaces: ClassVar = (Binary,)
    metrics: ClassVar = (
        *("nll", "kl", "kl_error", "entropy", "log_z", "log_z_error", "ess"),
        *("log_z_samples", "log_z_samples_error"),
    )

    def __init__(
        self, *, n: PositiveInt = 16384, samples: PositiveInt = 4000, n_steps: PositiveInt = 100
    ) -> None:
        self.n = n
        self.samples = samples
        self.n_steps = n_steps

    def __call__(self, view: RunView) -> dict[str, float]:
        """Return the likelihood and its errors."""
        law = view.dataset
        x = law.encode(law.toy.draw(self.n, view.generator))
        u = view.space.sample((self.n, law.bits), view.generator)
        both = torch.cat([x, u])
        log_p, energy = law.log_prob(both.double()), energies(view.energy, both)
        uniform = torch.full_like(log_p, -law.bits * math.log(2))
        log_w = -energy - torch.logaddexp(log_p, uniform) + math.log(2)
        log_z = float(log_w.logsumexp(0)) - math.log(len(log_w))
        share = (log_w - log_z).exp()  # of mean 1
        gap = (log_p + energy)[: self.n]
        kl = float(gap.mean()) + log_z
        of_p, of_u = share[: self.n] / 2, share[self.n :] / 2
        y = view.sample(self.samples, self.n_steps)
        ratio = (law.log_prob(y.double()) + energies(view.energy, y) + log_z).exp()
        mean = float(ratio.mean())
        return {
            "nll": law.entropy + kl,
            "kl": kl,
            "kl_error": self._error(gap + of_p, of_u),  # each draw of p counts in both lines
            "entropy": law.entropy,
            "log_z": log_z,
            "log_z_error": self._error(of_p, of_u),
            "ess": float(share.sum() ** 2 / share.square().sum()),
            "log_z_samples": log_z - math.log(mean),
            "log_z_samples_error": float(ratio.std()) / mean / math.sqrt(len(y)),
        }

    def _error(self, of_p: Tensor, of_u: Tensor) -> float:
        """Return the standard error of the sum of two means."""
        return math.sqrt(float(of_p.var() + of_u.var()) / self.n)


@torch.no_grad()
def energies(energy: Energy, x: Tensor) -> Tensor:
    """Return E of events, (n, bits) -> (n,) float64."""
    return torch.cat([energy(part).double() for part in x.split(CHUNK)])
