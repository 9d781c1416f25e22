"""Runs on several ranks: real processes over gloo, forked where a fresh one is not the point."""

import json
import socket
from pathlib import Path

import pytest
import yaml

from support import HARD, MAPS, RANKED, RANKS, STREAMS

LAUNCH = RANKS.read_text()


@pytest.fixture
def config(config):
    """A run in which every kind of state matters, on each rank its own."""
    config["plugins"]["files"] += [str(RANKED), str(HARD), str(MAPS)]
    config["data"]["transform"] = ["centred", {"type": "jitters", "sigma": 0.05}]
    config["energy"]["dropout"] = 0.2
    config["sampler"] = {"type": "parts:drifts", "n_steps": 3}
    config["networks"] = {"shift": "shifts"}
    losses = ("gap", "critic", "smears", "follows", "ends")
    config["loss"] = [{"type": name} for name in losses]
    config["train"] = {
        "steps": 30, "batch_size": 20, "ema": 0.9, "data_noise": 0.1, "log_every": 7,
        "checkpoint_every": "11 steps", "clip_grad_norm": 0.5,
    }  # fmt: skip
    config["monitors"] = [{"type": "crowd", "every": "10 steps"}]
    return config


def two_networks_with_labels(config):
    """E(x, y), proposed chains, kept labels and momenta, a fitted step; a worker reads."""
    config["plugins"]["files"].append(str(STREAMS))
    config["data"] |= {"type": "items", "labels": True, "draws": True, "loader": {"workers": 1}}
    net = {"type": "mlp", "hidden": [8], "activation": "silu", "outputs": 5}
    config["energy"] = {"type": "class_conditional", "net": net}
    config["networks"] = {"proposer": {"type": "generator", "latent": 2, "hidden": [8]}}
    config["sampler"] = {"type": "underdamped", "step_size": "auto", "n_steps": 2}
    rest = {"type": "persistent", "size": 40, "reinit": 0.2, "init": "data"}
    config["chains"] = {"type": "proposed", "share": 0.25, "rest": rest}
    config["loss"] = [{"type": "contrastive_divergence"}, {"type": "cooperative"}, {"type": "ends"}]


def bits(config):
    """A Boltzmann machine of pictures in bits, by all losses of bits, with replicas of chains."""
    config["data"] = {"type": "bars", "n": 200}
    config["energy"] = {"type": "rbm", "hidden": 8}
    config["sampler"] = {
        "type": "parallel_tempering", "kernel": "gibbs_with_gradients", "temperatures": [1, 3],
        "n_steps": 2,
    }  # fmt: skip
    config["chains"] = {"type": "persistent", "size": 40, "reinit": 0.2}
    by_neighbours = [{"type": name, "sites": 3} for name in ("pseudo_likelihood", "ratio_matching")]
    others = ("contrastive_divergence", "concrete_score_matching", "discrete_energy_discrepancy")
    config["loss"] = [*({"type": name} for name in others), *by_neighbours, {"type": "ends"}]
    del config["networks"], config["train"]["data_noise"]


KINDS = {"labels": two_networks_with_labels, "bits": bits}


@pytest.fixture
def kind(request, config):
    """Turn the config into one of another kind of events and conditions."""
    KINDS[request.param](config)
    return request.param


class Ended:
    """How all ranks ended, and the run that they left, if any."""

    def __init__(self, done):
        self.done = done
        self.text = done.stdout + done.stderr
        *rest, last = done.stdout.rsplit("\nexit codes: ", 1)
        self.out, self.codes = rest[0] if rest else "", json.loads(last)
        found = sorted(Path("runs").glob("*"))
        self.dir = found[-1] if found else None

    @property
    def facts(self):
        return json.loads((self.dir / "run.json").read_text())

    @property
    def log(self):
        return (self.dir / "log.txt").read_text()


@pytest.fixture
def on_ranks(forks, monkeypatch):
    """Run `ebmcore` with these arguments on so many ranks."""

    def call(ranks, *arguments, option=("-m", "ebmcore"), **variables):
        import os

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        env = {**os.environ, **variables}
        command = ("-c", LAUNCH, port, ranks, *option, *arguments)
        return Ended(forks.run(*command, cwd=Path.cwd(), env=env, timeout=100))

    return call


@pytest.fixture
def run(on_ranks):
    """Run a config on so many ranks."""

    def call(ranks, config, *arguments, **variables):
        Path("c.yaml").write_text(yaml.safe_dump(config))
        return on_ranks(ranks, "run", "c.yaml", *arguments, **variables)

    return call
