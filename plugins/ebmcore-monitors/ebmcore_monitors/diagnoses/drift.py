"""Drifting energies: the mean energy of data or of samples grows without bound."""

from __future__ import annotations

from itertools import pairwise

from ebmcore_monitors.diagnoses.evidence import Evidence, Finding

LOOKS = 8  # calls, at least: fewer could be the start of a run that levels off
# spreads of E that |mean E| gains over the second half of the calls. Without a penalty E's constant
# drifts slowly in any run, which is harmless: a tutorial's PCD gained 2 in 20 epochs, steadily
SPREADS = 25.0
STEADY = 0.9  # share of the changes in the second half that go outwards; of noise, half do
LASTING = 0.5  # share of the first half's gain that the second half still gains: not levelling off


def drift(evidence: Evidence) -> Finding | None:
    """Return whether |mean E| of data or of samples grows steadily and without bound.

    E is defined up to a constant, so a large constant by itself is harmless. A constant that keeps
    growing costs precision first (float32 resolves 1e-7 of |E|) and ends in overflow.
    """
    judged: list[tuple[str, list[float]]] = []
    for name, what in (("energy_of_data", "data"), ("energy_of_samples", "samples")):
        series = evidence.series(name)
        if len(series) >= LOOKS and evidence.spread > 0:
            judged.append((what, [abs(value) for value in series[len(series) // 2 - 1 :]]))
    if not judged:
        return None
    growing = [(w, size) for w, size in judged if _grows(size, SPREADS * evidence.spread)]
    what, size = max(growing or judged, key=lambda of: of[1][-1])
    return Finding(
        bool(growing),
        f"energies drift: |mean E| of the {what} grew steadily from {size[0]:.4g} to "
        f"{size[-1]:.4g} nats over the last {len(size) - 1} calls, while energies spread over "
        f"{evidence.spread:.3g}. Add the loss energy_magnitude with a `weight` such as 0.1, or "
        "lower optimizer.lr",
    )


def _grows(size: list[float], far: float) -> bool:
    outwards = [later > earlier for earlier, later in pairwise(size)]
    middle = size[len(size) // 2]
    gains = middle - size[0], size[-1] - middle
    steady = sum(outwards) >= STEADY * len(outwards)
    return steady and sum(gains) > far and gains[1] >= LASTING * gains[0]
