"""A mixture of energies: its law draws one of the terms, by weight, and then from that."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from ebmcore import Energy, PositiveFloat
from ebmcore_analytic.combine import log_cosh, module_from, one_each, parabola, without_values


class Mixture(nn.Module):
    """E(x) = -log Σᵢ wᵢ exp(-Eᵢ(x)) / Zᵢ, Σᵢ wᵢ = 1: p(x) = Σᵢ wᵢ pᵢ(x), "one or the other".

    A term may be any energy, also a plain function; terms that are modules are trained too. An
    energy says its density but for a factor, so that weights mean nothing without each term's log
    Zᵢ = log ∫ exp(-Eᵢ): terms of `ebmcore-analytic` know theirs, for others give it, exactly or as
    an estimate; an error of δ nats multiplies a term's weight by exp(δ). It is read once, when the
    mixture is built: a term that is trained afterwards takes a larger share as its Zᵢ grows.

    `log_z` is there where all terms know theirs, 0 unless they have changed; `sample` where all can
    draw, too.

    Shapes: x (batch, *event), as the terms take it -> (batch,), nats. Raises ValueError when
    `terms` is empty, weights or log_z don't fit the terms, a weight isn't positive, a term's log Z
    is neither known nor given, or a term doesn't return one value per event.
    Source: Du, Li and Mordatch 2020, "Compositional visual generation with energy based models";
    Du et al. 2023, "Reduce, reuse, recycle: compositional generation with energy-based diffusion
    models and MCMC".

    Args:
        terms: The energies to mix, each a node of its own or a reference to one.
        weights: One positive number for each term, which need not sum to 1; equal when not given.
        log_z: Log Zᵢ of each term, in nats; the terms' own when not given.
    """

    name: ClassVar[str] = "mixture"
    check_params: ClassVar[dict[str, object]] = {
        "terms": [parabola, log_cosh],
        "weights": [2.0, 1.0],
        "log_z": [1.8, 2.3],
    }
    log_shares: Tensor  # (terms,), log wᵢ - log Zᵢ

    def __init__(
        self,
        terms: list[Energy],
        *,
        weights: list[PositiveFloat] | None = None,
        log_z: list[float] | None = None,
    ) -> None:
        super().__init__()
        if not terms:
            raise ValueError("terms should hold at least one energy")
        for name, given in (("weights", weights), ("log_z", log_z)):
            if given is not None and len(given) != len(terms):
                raise ValueError(
                    f"{name} should have one number for each of {len(terms)} terms; "
                    f"got {len(given)}"
                )
        weights = [1.0] * len(terms) if weights is None else list(weights)
        if not all(0 < weight < math.inf for weight in weights):
            raise ValueError(f"weights should be positive; got {weights}")
        self.terms = nn.ModuleList(module_from(term) for term in terms)
        known = [_known_log_z(term) for term in self.terms] if log_z is None else log_z
        for i, value in enumerate(known):
            if value is None or not math.isfinite(value):
                raise ValueError(
                    f"terms[{i}], {type(terms[i]).__name__}, has no known log Z, without which "
                    "its weight means nothing: give log_z, one number for each term"
                )
        logs = torch.tensor(weights, dtype=torch.float64).log().log_softmax(0)
        shares = logs - torch.tensor(known, dtype=torch.float64)
        self.register_buffer("log_shares", shares.to(torch.get_default_dtype()))

    def forward(self, x: Tensor) -> Tensor:
        """Return the energy of each event, (batch, *event) -> (batch,)."""
        parts = [one_each(f"terms[{i}]", term(x), x) for i, term in enumerate(self.terms)]
        return -(self.log_shares - torch.stack(parts, 1)).logsumexp(1)

    @property
    def log_z(self) -> float | None:
        """Log ∫ exp(-E) in nats, where all terms know theirs; else None."""
        masses = self._masses()
        return None if masses is None else float(masses.logsumexp(0))

    @property
    def can_sample(self) -> bool:
        """Whether `sample` can draw."""
        able = all(getattr(term, "can_sample", False) for term in self.terms)
        return able and self._masses() is not None

    @torch.no_grad()
    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n independent events of exp(-E)/Z, (n, *event_shape); see `Analytic.sample`."""
        masses = self._masses()
        if masses is None or not self.can_sample:
            raise ValueError("this mixture has no exact sampler; run a kernel on it")
        if n < 1:
            raise ValueError(f"n should be at least 1; got {n}")
        shares = masses.softmax(0)
        which = torch.multinomial(shares, n, replacement=True, generator=generator)
        draws: Any = torch.stack([term.sample(n, generator) for term in self.terms])  # type: ignore[operator]
        drawn: Tensor = draws[which, torch.arange(n, device=which.device)]
        return drawn

    def _masses(self) -> Tensor | None:
        """Return log wᵢ + the change of log Zᵢ since it was read, (terms,), float64."""
        known = [_known_log_z(term) for term in self.terms]
        if None in known:
            return None
        return self.log_shares.double() + self.log_shares.new_tensor(known, dtype=torch.float64)


def _known_log_z(energy: Any) -> float | None:
    """Return an energy's log Z, a value or the result of a method; None when it isn't known."""
    if without_values(energy):
        return 0.0
    found = getattr(energy, "log_z", None)
    try:
        found = found() if callable(found) else found
    except ValueError:  # too many states to enumerate
        return None
    return (
        float(found.detach() if isinstance(found, Tensor) else found) if found is not None else None
    )
