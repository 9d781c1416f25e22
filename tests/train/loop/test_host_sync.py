"""The steps of a run never wait for an accelerator: on the meta device, where values don't exist.

Where a run waits all the same, it is meant to: when it fetches the metrics of `log_every` steps,
and every 50 steps those of the sampler's step; once an epoch for the order of the data; in monitors
and checkpoints; at each step with `on_divergence: skip`, which looks at a step before it applies
it; and with several ranks, which exchange their signals at each step.
"""

import pytest
import torch
import yaml

from ebmcore.runner.api import prepare
from ebmcore.runner.compose import compose
from ebmcore.train.loop import Loop
from ebmcore.train.signals import Interrupts

pytestmark = pytest.mark.plugins

BASE = """
data: {type: gaussian_mixture, n: 64, std: 0.3, holdout: 0.0}
energy: {type: mlp, hidden: [8], activation: silu}
sampler: {type: langevin, step_size: auto, n_steps: 2}
chains: {type: persistent, size: 32, reinit: 0.1}
loss: [{type: contrastive_divergence}, {type: energy_magnitude, weight: 0.1}]
optimizer: {type: Adam, lr: 1.0e-3}
train: {steps: 60, batch_size: 16, clip_grad_norm: 1.0, ema: 0.99, data_noise: 0.1}
tracking: off
"""

CONFIGS = {
    "pcd": "{}",
    "hmc": "{sampler: {type: hmc, step_size: auto, mass: [1.0, 2.0], n_steps: 1}}",
    "mala": "{sampler: {type: mala, step_size: 0.1}, optimizer: {type: SGD, lr: 0.1}}",
    "momentum": "{sampler: {type: underdamped, step_size: 0.1, n_steps: 2}}",
    "normal chains": "{chains: {type: persistent, size: 32, reinit: 0.1, init: normal}}",
    "chains at data": "{chains: {type: persistent, size: 32, reinit: 0.1, init: data}}",
    "improved cd": "{loss: {type: improved_cd}, chains: {type: data}}",
    "denoising": """{sampler: null, chains: null,
        loss: {type: denoising_score_matching, sigma: 0.1}}""",
    "noise contrastive": "{sampler: null, chains: null, loss: {type: noise_contrastive}}",
    "augmented images": """{data: {type: digits, transform: [{type: augment, shift: 1}]},
        energy: {type: conv, channels: [4]}, train: {steps: 60, batch_size: 16}}""",
    "rbm": """{data: {type: bars, side: 3}, energy: {type: rbm, hidden: 4},
        sampler: {type: block_gibbs, hidden: 4, n_steps: 1}, chains: {type: persistent, size: 16},
        train: {steps: 60, batch_size: 4}}""",
    "gibbs": """{data: {type: bars, side: 3}, energy: {type: rbm, hidden: 4},
        sampler: {type: gibbs, n_steps: 1}, chains: {type: noise},
        train: {steps: 60, batch_size: 4}}""",
    "proposer": """{networks: {proposer: {type: generator, latent: 2, hidden: [4]}},
        chains: {type: proposed, network: proposer, share: 0.5, rest: {type: noise}},
        loss: [{type: contrastive_divergence}, {type: cooperative, network: proposer}]}""",
}


def loop_of(name):
    keys = {**yaml.safe_load(BASE), **yaml.safe_load(CONFIGS[name])}
    prepared = prepare({key: value for key, value in keys.items() if value is not None})
    made = compose(*prepared, device="meta")
    return Loop(made.assemble(), prepared.config.train, made.streams, Interrupts())


@pytest.mark.parametrize("name", CONFIGS)
def test_no_step_waits(name):
    from ebmcore.testing import no_host_sync

    loop = loop_of(name)
    first, second, *_ = loop.batches.rest_of_epoch(0)
    loop.train_step(*loop.rows(first, 0), 0)
    with no_host_sync("meta"):
        done = loop.train_step(*loop.rows(second, 9), 9)
        loop.stability.after_step(done, 10, None)
    assert done.metrics["loss"].device == torch.device("meta")
    assert len(loop.stability.waiting) == loop.stability.active
