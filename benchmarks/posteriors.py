"""NUTS with its defaults on fifteen posteriors in raw coordinates, against references.

    python benchmarks/posteriors.py [NAME …]

Each is sampled by `sample_chain(NUTS(), …)`: 16 chains from N(0, I), 1,000 steps of warm-up, 1,000
kept. It passes if each parameter's mean is within .15 reference standard deviations, and the log of
its standard deviation within .12. The table says the worst parameter. References are in closed
form, by quadrature, or weighted independent draws; benchmarks/bayes/ has them. One thread.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import torch
from bayes import hierarchies, regressions
from bayes.posterior import Posterior
from ebmcore_hmc import NUTS

from ebmcore import sample_chain

RESULTS = Path(__file__).parent / "results" / "posteriors.jsonl"
MAKERS = {
    make.__name__: make
    for make in (
        regressions.wide_regression, regressions.parabola, regressions.unknown_noise,
        regressions.logistic, regressions.poisson, regressions.student_t,
        regressions.mixed_effects, hierarchies.schools, hierarchies.schools_whitened,
        hierarchies.funnel, hierarchies.funnel_whitened, hierarchies.rosenbrock,
        hierarchies.garch, hierarchies.hidden_markov, hierarchies.gaussian_process,
    )
}  # fmt: skip
MEAN, LOG_SD = 0.15, 0.12
CHAINS, STEPS = 16, 1000


def judge(posterior: Posterior, seed: int = 0) -> dict[str, object]:
    """Sample a posterior and compare it with its reference."""
    began = time.process_time()
    kernel = NUTS()
    _, trace = sample_chain(
        kernel,
        posterior.energy,
        event_shape=posterior.mean.shape,
        n_chains=CHAINS,
        burn_in=kernel.warm_up,
        n_steps=STEPS,
        generator=torch.Generator().manual_seed(seed),
        trace=True,
        compile=True,
    )
    x = trace.x.flatten(0, 1)
    off = ((x.mean(0) - posterior.mean) / posterior.sd).abs().max().item()
    wide = (x.std(0) / posterior.sd).log().abs().max().item()
    return {
        "posterior": posterior.name,
        "parameters": len(posterior.mean),
        "mean": off,
        "log_sd": wide,
        "passes": off <= MEAN and wide <= LOG_SD,
        "acceptance": trace.info.acceptance.mean().item(),
        "leapfrog": trace.info.n_leapfrog.mean().item(),
        "divergent": int(trace.info.divergent.sum()),
        "cpu_seconds": time.process_time() - began,
        "reference": posterior.how,
    }


def main() -> None:
    """Judge the posteriors that are named, or all, and write all of them."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    warnings.filterwarnings("default", "the sampler was not compiled")
    names = sys.argv[1:] or list(MAKERS)
    rows = []
    print("| posterior | d | mean, sd | log sd | leapfrog | divergent | CPU s | reference |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        row = judge(MAKERS[name]())
        rows.append(row)
        print(
            f"| {name}{'' if row['passes'] else ' (fails)'} | {row['parameters']} "
            f"| {row['mean']:.3f} | {row['log_sd']:.3f} | {row['leapfrog']:.0f} "
            f"| {row['divergent']} | {row['cpu_seconds']:.0f} | {row['reference']} |",
            flush=True,
        )
    print(f"{sum(bool(row['passes']) for row in rows)} of {len(rows)} pass")
    if not sys.argv[1:]:
        RESULTS.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
