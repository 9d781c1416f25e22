"""Recipes for bits and for categories."""

from __future__ import annotations

import math

from ebmcore_new.look.seen import Seen
from ebmcore_new.recipes.lines import Line, data_lines

_FEW = 64  # bits, up to which the recipe of 16 serves
_EXACT = 2**20  # states of which exact_likelihood sums over all


def bits(seen: Seen) -> tuple[str, list[Line]]:
    """Return the recipe of examples/bars_rbm.yaml, with smaller steps for many bits."""
    n = math.prod(seen.event)
    hidden, lr = (64, 0.2) if n <= _FEW else (256, 0.02)
    steps = 3000
    about = (
        "A restricted Boltzmann machine by persistent contrastive divergence; block Gibbs draws "
        "all bits of a layer at once, without a bias."
    )
    return about, [
        *data_lines(seen),
        Line(f"energy: {{type: rbm, hidden: {hidden}}}"),
        Line(
            f"sampler: {{type: block_gibbs, hidden: {hidden}, n_steps: 5}}", "as many as the rbm's"
        ),
        Line("chains: {type: persistent, size: 100}"),
        Line("loss: {type: contrastive_divergence}"),
        Line(f"optimizer: {{type: SGD, lr: {lr}}}"),
        Line(
            f"lr_scheduler: {{type: LinearLR, start_factor: 1.0, end_factor: 0.02, "
            f"total_iters: {steps}, interval: step}}",
            "large steps first, then exact ones",
        ),
        Line(f"train: {{steps: {steps}, batch_size: {seen.batch(100)}, ema: 0.995}}"),
        *_monitors(seen, 2**n if n <= 20 else math.inf),
    ]


def categories(seen: Seen) -> tuple[str, list[Line]]:
    """Return a transformer on tokens, with Gibbs sampling."""
    n = math.prod(seen.event)
    about = (
        "A transformer that reads each category as a row of a table, by persistent contrastive "
        "divergence; Gibbs draws one number after another given all others, without a bias."
    )
    batch = seen.batch(64)
    return about, [
        *data_lines(seen),
        Line("energy: {type: transformer, width: 32, layers: 1, heads: 4}"),
        Line("sampler: {type: gibbs, n_steps: 1}", f"a step draws all {n} numbers once"),
        Line(f"chains: {{type: persistent, size: {4 * batch}}}", "4 times the batch"),
        Line("loss:"),
        Line("  - {type: contrastive_divergence}"),
        Line(
            "  - {type: energy_magnitude, weight: 0.02}",
            "persistent chains oscillate; this damps them",
        ),
        Line("optimizer: {type: Adam, lr: 1.0e-3}"),
        Line(f"train: {{steps: 1000, batch_size: {batch}, clip_grad_norm: 1.0, ema: 0.99}}"),
        *_monitors(seen, seen.values**n if n <= 20 else math.inf),
    ]


def _monitors(seen: Seen, states: float) -> list[Line]:
    exact = Line("  - {type: exact_likelihood, every: 500 steps}", "the sum over all states")
    return [
        Line("monitors:"),
        Line("  - {type: energies, every: 200 steps}"),
        *([exact] if states <= _EXACT else []),
        Line("  - {type: samples, every: end}"),
        Line("  - {type: advice, every: 500 steps}", "warns of what goes wrong, and names the key"),
    ]
