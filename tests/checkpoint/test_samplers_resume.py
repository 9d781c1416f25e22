"""Runs of samplers that adapt, and of bits, resume bit for bit from the middle of their chains."""

import pytest

from support.runs import assert_same, cut, go, resume, tensors

pytestmark = pytest.mark.plugins

LOG_Z = {"type": "log_z", "small": True, "n": 32, "steps": 4, "every": "3 steps"}
NET = {"type": "mlp", "hidden": [8], "activation": "silu"}
BITS = {"data": {"type": "gray_code", "toy": "moons", "bits": 8, "n": 100}, "energy": NET}
ISING = {
    "data": {"type": "ising_draws", "shape": [3, 3], "sigma": 0.2, "n": 100},
    "energy": {"type": "ising", "learns": "edges"},
}
REALS = {
    "data": {"type": "gaussian_mixture", "n": 100},
    "energy": {"type": "sum", "terms": [NET, {"type": "gaussian", "scale": 2.0}]},
}
TEMPERED = {"type": "parallel_tempering", "kernel": "gibbs", "temperatures": [1, 2], "warm_up": 8}
CD, SOME = "contrastive_divergence", ("pseudo_likelihood", "ratio_matching")
CASES = {
    "nuts": (REALS, {"type": "nuts", "warm_up": 40, "max_depth": 3}, {}),
    "hmc": (REALS, {"type": "hmc", "warm_up": 40, "leapfrog": 2}, {}),
    "mala": (REALS, {"type": "mala", "warm_up": 40}, {"monitors": [LOG_Z]}),
    "tempered": (BITS, TEMPERED, {}),
    "dula": (
        BITS,
        {"type": "dula"},
        {"loss": [CD, "concrete_score_matching", "discrete_energy_discrepancy"]},
    ),
    "blocks": (
        ISING,
        {"type": "gibbs", "scan": "blocks"},
        {"loss": [CD, *({"type": name, "sites": 2} for name in SOME)]},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_goes_on_as_if_it_never_had_stopped(case):
    parts, sampler, more = CASES[case]
    config = {
        **parts,
        "sampler": {**sampler, "n_steps": 3},
        "chains": {"type": "persistent", "size": 24, "reinit": 0.1},
        "loss": CD,
        "train": {"steps": 6, "batch_size": 12, "checkpoint_every": "3 steps"},
        "plugins": {"files": []},
        "compile": False,
        "tracking": "off",
        **more,
    }
    whole = go(config)
    resumed = resume(cut(whole, 3), config)
    assert resumed.step == 6
    assert_same(whole.dir, resumed.dir)
    before, after = tensors(whole.dir, 3), tensors(whole.dir)
    changed = {name for name in before.keys() & after if not before[name].equal(after[name])}
    assert {"chains/buffer"} < changed
    if case in ("nuts", "hmc", "mala"):
        assert {"chains/carried.step_size", "chains/carried.recent"} < changed
