"""The fused kernel under Triton's interpreter, in a process of its own, which begins as one."""

import json
import math
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("triton") is None, reason="Triton isn't installed: ebmcore-langevin[triton]"
    ),
]

NUMBERS = 16_384
CHAINS, STEPS, STEP_SIZE = 4096, 8, 0.5

SCRIPT = f"""
import json, torch
from ebmcore_langevin import Langevin
from ebmcore_langevin.fused import FusedLangevin, fused_update
import ebmcore

def seeded(n): return torch.Generator().manual_seed(n)
def standard(*shape, seed): return torch.randn(shape, generator=seeded(seed))
def energy(x): return 0.5 * x.square().flatten(1).sum(1)
def refusal(**changed):
    given = dict(score=x, step_size=0.1, spread=0.3, noise=x) | changed
    try: fused_update(x, **given)
    except ValueError as error: return str(error)

found = {{}}
x = standard(700, 3, seed=0)
noise = standard(700, 3, seed=1)
plain, fused = Langevin(0.1, temperature=2.0), FusedLangevin(0.1, temperature=2.0)
wanted, info = plain.step(energy, plain.init(energy, x), (noise,))
moved = fused_update(x, -x, step_size=0.1, spread=fused.spread, noise=noise)
found["difference"] = (moved - wanted.x).abs().max().item()
_, own = fused.step(energy, fused.init(energy, x), fused.noise(x, seeded(2)))
found["info"] = max((a - b).abs().max().item() for a, b in zip(own, info))

zeros = torch.zeros({NUMBERS})
def draw(seed):
    return fused_update(zeros, zeros, step_size=1.0, spread=1.0, seed=torch.tensor([seed]))
a, b = draw(5), draw(5 + 2**40)
found["again"] = torch.equal(a, draw(5))
found["moments"] = [a.mean().item(), a.square().mean().item(), a.pow(4).mean().item()]
found["correlations"] = [(a[:-1] * a[1:]).mean().item(), (a * b).mean().item()]

scale = (1 / (1 - {STEP_SIZE} / 2)) ** 0.5  # of the kernel's own law on this energy
end = ebmcore.sample_chain(
    FusedLangevin({STEP_SIZE}), energy, scale * standard({CHAINS}, 1, seed=3), n_steps={STEPS},
    generator=seeded(4), compile=False,
)
found["variance"] = end.var().item()
found["refusals"] = [
    refusal(score=x[:2]), refusal(noise=x.double()), refusal(noise=None), refusal(seed=x),
]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_with_noise_given_it_is_the_plain_kernel(found):
    assert found["difference"] < 1e-6
    assert found["info"] == 0


def test_its_noise_is_standard_normal_and_follows_from_the_seed(found):
    error = 5 / math.sqrt(NUMBERS)  # five standard errors of a variance of 1
    mean, square, fourth = found["moments"]
    assert abs(mean) < error
    assert abs(square - 1) < math.sqrt(2) * error
    assert abs(fourth - 3) < math.sqrt(96) * error
    assert all(abs(one) < error for one in found["correlations"])
    assert found["again"]


def test_its_chains_keep_the_law_of_the_plain_kernel(found):
    expected = 1 / (1 - STEP_SIZE / 2)
    assert abs(found["variance"] - expected) < 5 * expected * math.sqrt(2 / CHAINS)


def test_it_says_what_it_does_not_take(found):
    shape, dtype, neither, both = found["refusals"]
    assert "score should be float32, of shape (700, 3); got torch.float32, (2, 3)" in shape
    assert "noise should be float32" in dtype
    assert neither == both == "fused_update takes either a seed or the noise"
