"""The benchmark of 32 bits: its likelihood is the exact one; numbers that can't be are named."""

import math
import sys
from types import SimpleNamespace

import pytest
import torch

from ebmcore import Binary
from support import ROOT

pytestmark = pytest.mark.plugins


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield
    for name in ("gray32", "grid", "importance"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("law", ["the data's", "uniform"])
def test_the_likelihood_by_importance_is_the_exact_one(law):
    from ebmcore_discrete.datasets.gray_code import GrayCode
    from importance import ImportanceLikelihood

    codes = GrayCode("circles", bits=16, n=4000, generator=torch.Generator().manual_seed(1))
    view = SimpleNamespace(
        dataset=codes, space=Binary(), generator=torch.Generator().manual_seed(3)
    )
    if law == "uniform":
        nll = 16 * math.log(2)
        log_z = nll - 1
        view.energy = lambda x: torch.ones(len(x))
        view.sample = lambda n, _: Binary().sample((n, 16), torch.Generator().manual_seed(2))
    else:
        nll, log_z = codes.entropy, -3
        view.energy = lambda x: 3 - codes.log_prob(x)
        view.sample = lambda n, _: codes()
    found = ImportanceLikelihood(n=4000)(view)
    assert found["log_z"] == pytest.approx(log_z, abs=5 * found["log_z_error"])
    assert found["nll"] == pytest.approx(nll, abs=5 * found["kl_error"])
    assert found["kl"] == pytest.approx(found["nll"] - codes.entropy, abs=1e-9)
    assert found["log_z_samples"] == pytest.approx(log_z, abs=5 * found["log_z_samples_error"])
    assert max(found["kl_error"], found["log_z_error"]) < 0.03
    assert found["ess"] > 2000
    assert found["log_z_samples_error"] < 0.1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"ImportanceLikelihood/kl": -0.05}, "nll is 0.0500 ± 0.0100 nats below its floor"),
        ({"ImportanceLikelihood/kl": -0.03}, ""),
        ({"ImportanceLikelihood/kl": math.nan}, "below its floor"),
        ({"ImportanceLikelihood/log_z_samples": 20.7}, "log Z of the samples is +0.2000"),
        ({"mmd/linear": 0.006}, "linear MMD is 0.0120, over 0.01"),
    ],
)
def test_a_run_of_32_bits_that_cannot_be_right_is_named(changed, said):
    import gray32
    from grid import Found, key

    job = gray32.jobs()[0]
    numbers = dict.fromkeys(("kl_error", "log_z_error", "log_z_samples_error"), 0.01)
    numbers |= {"kl": 0.02, "entropy": 20.0, "log_z": 20.5, "log_z_samples": 20.52, "ess": 9000.0}
    metrics = {f"ImportanceLikelihood/{name}": value for name, value in numbers.items()}
    metrics |= {f"mmd/{name}": 0.001 for name in ("linear", "linear_null", "hamming")}
    metrics |= {"mmd/hamming_null": 0.001} | changed
    found = Found("absent.jsonl")
    found.entries = {
        key(job): {"status": "FINISHED", "column": job.column, "seed": 0, "metrics": metrics}
    }
    lines = gray32.wrong(found)
    assert len(lines) == bool(said)
    assert said in "".join(lines)
    assert f"| {job.column} | 20.000 |" in gray32.table(found)[2]
