"""Recipes for rows of numbers: points of one to three numbers, tables, and large tables."""

from __future__ import annotations

from ebmcore_new.look.seen import Seen
from ebmcore_new.recipes.lines import Line, data_lines

_MANY = 20_000  # training rows above which their distances cost more than a network
_MODEST = 300  # training rows below which a network learns them by heart


def points(seen: Seen) -> tuple[str, list[Line]]:
    """Return the recipe for points, whose likelihood is exact by quadrature.

    From examples/tables/standardised.yaml and examples/five_gaussians.yaml.
    """
    batch = seen.batch(128)
    plane = seen.event == (2,)
    steps = 4000 if seen.training_rows > _MODEST else 1500
    about = (
        "Persistent contrastive divergence: the energy falls at data and rises where Langevin "
        "chains are. In so few dimensions the likelihood is exact, by quadrature."
    )
    monitors = [
        Line("monitors:"),
        Line("  - {type: energies, every: 200 steps}"),
        Line("  - {type: exact_likelihood, every: 1000 steps}", "the score to compare models by"),
        *([Line("  - {type: landscape, every: 1000 steps}", "pictures of E")] if plane else []),
        Line(f"  - {{type: samples, n: {min(1000, seen.rows)}, every: end}}"),
        Line("  - {type: advice, every: 500 steps}", "warns of what goes wrong, and names the key"),
    ]
    return about, [
        *data_lines(seen),
        Line("energy: {type: mlp, hidden: [128, 128], activation: silu}"),
        Line(
            "sampler: {type: langevin, step_size: 0.02, n_steps: 20}",
            "for data of sd 1; `auto` fits the step to narrower ones",
        ),
        Line(f"chains: {{type: persistent, size: {8 * batch}}}", "8 times the batch"),
        Line("loss:"),
        Line("  - {type: contrastive_divergence}"),
        Line(
            "  - {type: energy_magnitude, weight: 0.02}",
            "persistent chains oscillate; this damps them",
        ),
        Line("optimizer: {type: Adam, lr: 1.0e-3}"),
        Line(
            f"train: {{steps: {steps}, batch_size: {batch}, clip_grad_norm: 1.0, ema: 0.99}}",
            "about a minute on one core" if steps == 4000 else "",
        ),
        *monitors,
    ]


def table(seen: Seen) -> tuple[str, list[Line]]:
    """Return the recipe for a table: distances to training rows, or of many rows a network."""
    return _network(seen) if seen.training_rows > _MANY else _nearest(seen)


def _nearest(seen: Seen) -> tuple[str, list[Line]]:
    """Return the recipe of examples/anomaly.yaml, which docs/anomaly.md tries on twelve tables."""
    about = (
        "An energy that says how unlike the training rows a row is: three views of the nearest "
        "training row. It has no key to tune, and docs/anomaly.md compares it with other methods. "
        "It draws no samples; `ebmcore new CONFIG.yaml --like tables/houses` begins one that does."
    )
    return about, [
        *data_lines(seen),
        Line("energy:", "each view learns how much it counts"),
        Line("  type: sum"),
        Line("  terms:"),
        Line("    - {type: kernel_density, norm: 1}", "many small differences"),
        Line(
            "    - {type: kernel_density, norm: 1, view: {type: rank_gaussian}}",
            "skewed columns, rare values",
        ),
        Line(
            "    - {type: kernel_density, view: {type: whiten}}", "numbers that don't go together"
        ),
        Line("loss: {type: energy_discrepancy, sigma: 1.0, samples: 4}"),
        Line("optimizer: {type: Adam, lr: 0.05}"),
        Line(
            f"train: {{steps: 60, batch_size: {seen.batch(16)}}}",
            "three weights are trained; the rows say most",
        ),
        Line("monitors:"),
        Line("  - {type: energies, every: end}"),
        Line("  - {type: advice, every: end}", "warns of what goes wrong, and names the key"),
    ]


def _network(seen: Seen) -> tuple[str, list[Line]]:
    """Return a network at several noise levels, as in examples/noise_levels.yaml."""
    about = (
        f"A network at several noise levels, trained by denoising: with {seen.training_rows:,} "
        "rows it costs less than the distances to all of them, which `--like anomaly` takes."
    )
    net = "{type: mlp, hidden: [256, 256], activation: silu, outputs: 16}"
    return about, [*data_lines(seen), *noise_levels(seen, net, "of this table")]


def noise_levels(seen: Seen, net: str, where: str) -> list[Line]:
    """Return energy to monitors of a network at several noise levels, for numbers of sd 1."""
    batch = seen.batch(128)
    steps = 4000
    return [
        Line("energy:"),
        Line("  type: noise_conditional"),
        Line("  sigma_min: 0.05", "small beside the narrowest feature of data of sd 1"),
        Line("  sigma_max: 2.0", "about as wide as the data"),
        Line("  levels: 12"),
        Line(f"  net: {net}"),
        Line(
            "sampler: {type: annealed, kernel: {type: langevin, step_size: 0.0005}, n_steps: 48}",
            "for samples; the loss needs none",
        ),
        Line("chains: {type: noise, kind: normal, scale: 2.0}", "as wide as the largest level"),
        Line("loss: {type: multilevel_denoising}"),
        Line("optimizer: {type: Adam, lr: 1.0e-3}"),
        Line(f"lr_scheduler: {{type: CosineAnnealingLR, T_max: {steps}, interval: step}}"),
        Line(f"train: {{steps: {steps}, batch_size: {batch}, ema: 0.995}}"),
        Line("monitors:"),
        Line("  - {type: energies, every: 200 steps}"),
        Line(f"  - {{type: samples, n: {min(500, seen.rows)}, every: end}}", f"pictures {where}"),
        Line("  - {type: advice, every: 500 steps}", "warns of what goes wrong, and names the key"),
    ]
