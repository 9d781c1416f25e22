"""Runs in which every kind of state matters."""

import pytest

from support import HARD, MAPS


@pytest.fixture
def config(config):
    """A run in which every kind of state matters, each in a stream or a place of its own."""
    config["plugins"]["files"] += [str(HARD), str(MAPS)]
    config["data"]["transform"] = ["centred", {"type": "jitters", "sigma": 0.05}]
    config["energy"]["dropout"] = 0.2
    config["sampler"] = {"type": "parts:drifts", "n_steps": 3}
    config["networks"] = {"shift": "shifts"}
    config["optimizers"] = {"shift": {"type": "SGD", "lr": 0.01, "momentum": 0.9}}
    config["loss"] = [{"type": "gap"}, {"type": "critic"}, {"type": "smears"}, {"type": "follows"}]
    config["lr_scheduler"] = {"type": "MultiStepLR", "milestones": [40, 90], "interval": "step"}
    config["train"] = {
        "steps": 130,
        "batch_size": 20,
        "ema": 0.9,
        "data_noise": 0.1,
        "log_every": 7,
        "checkpoint_every": "11 steps",
    }
    config["monitors"] = [
        {"type": "parts:looks", "every": "25 steps"},
        {"type": "counts", "every": "10 steps"},
    ]
    return config
