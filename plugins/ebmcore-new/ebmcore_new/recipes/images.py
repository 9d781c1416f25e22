"""Recipes for images, by their size, with or without labels."""

from __future__ import annotations

from ebmcore_new.look.seen import Seen
from ebmcore_new.recipes.lines import Line, data_lines

_SMALL = 16  # side up to which the recipe of 8×8 digits serves
_CLASSES = 100  # more labels than the net should tell apart


def images(seen: Seen) -> tuple[str, list[Line]]:
    """Return the recipe of examples/digits.yaml for small images, else of examples/mnist.yaml."""
    small = min(seen.event[-2:]) <= _SMALL
    about = (
        "A convolutional net by persistent contrastive divergence. Langevin chains are cold, so "
        "that they end at images and not at noise around them."
    )
    conditional = seen.labels is not None and seen.labels <= _CLASSES
    if conditional:
        last = (seen.labels or 1) - 1
        about += (
            f" Each chain keeps a label, E(x, y): `ebmcore sample RUN_DIR --y {last}` draws one."
        )
    lines = _of_small(seen) if small else _of_large(seen)
    net = _channels(min(seen.event[-2:]), small)
    energy = [Line(f"energy: {{type: conv, channels: {net}, activation: silu}}")]
    if conditional:
        energy = [
            Line("energy:"),
            Line("  type: class_conditional"),
            Line(
                f"  net: {{type: conv, channels: {net}, activation: silu, outputs: {seen.labels}}}",
                "an energy for each label",
            ),
        ]
    return about, [*data_lines(seen), *energy, *lines]


def _channels(side: int, small: bool) -> list[int]:
    """Return the channels, as many as an image of this side can be halved."""
    channels = [32, 64, 128] if small else [8, 32, 64, 64]
    return channels[: side.bit_length()]


def _of_small(seen: Seen) -> list[Line]:
    batch = seen.batch(64)
    return [
        Line(
            "sampler: {type: langevin, step_size: 0.01, temperature: 0.005, n_steps: 20, "
            "clip_score: 5.0, bounds: [0, 1]}"
        ),
        Line(
            f"chains: {{type: persistent, size: {16 * batch}, reinit: 0.05}}",
            "5 % begin anew at noise each step",
        ),
        Line("loss:"),
        Line("  - {type: contrastive_divergence}"),
        Line("  - {type: energy_magnitude, weight: 0.1}", "keeps |E| from growing"),
        Line("optimizer: {type: Adam, lr: 5.0e-4, betas: [0.0, 0.999]}"),
        Line(
            f"train: {{steps: 1500, batch_size: {batch}, clip_grad_norm: 1.0, ema: 0.995, "
            "data_noise: 0.03}"
        ),
        Line("monitors:"),
        Line("  - {type: energies, every: 100 steps}"),
        Line("  - {type: samples, every: 500 steps}", "look at these first"),
        Line("  - {type: advice, every: 500 steps}", "warns of what goes wrong"),
    ]


def _of_large(seen: Seen) -> list[Line]:
    batch = seen.batch(64)
    return [
        Line(
            "sampler: {type: langevin, step_size: 5.0, temperature: 4.0e-6, n_steps: 20, "
            "clip_score: 0.03, bounds: [0, 1]}",
            "long cold steps: from noise to images within a few training steps",
        ),
        Line(
            f"chains: {{type: persistent, size: {16 * batch}, reinit: 0.05}}",
            "5 % begin anew at noise each step",
        ),
        Line("loss:"),
        Line("  - {type: contrastive_divergence}"),
        Line("  - {type: energy_magnitude, weight: 0.3}", "keeps |E| from growing"),
        Line("optimizer: {type: Adam, lr: 7.0e-4, betas: [0.0, 0.999]}"),
        Line("train:"),
        Line("  steps: 2400", "train for longer once the samples look right"),
        Line(f"  batch_size: {batch}"),
        Line("  clip_grad_norm: 0.5"),
        Line("  ema: 0.99"),
        Line("  data_noise: 0.03"),
        Line("  max_energy: 20", "beyond it training has diverged:"),
        Line("  on_divergence: rollback", "back to the last good checkpoint,"),
        Line("  rollback_lr: 0.5", "with half the learning rate"),
        Line("monitors:"),
        Line("  - {type: energies, every: 100 steps}"),
        Line("  - {type: samples, every: 400 steps}", "look at these first"),
        Line("  - {type: advice, every: 400 steps}", "warns of what goes wrong"),
    ]
