"""The benchmark of discrete losses: equal budgets, and numbers that can't be are named."""

import math
import sys

import pytest

from support import ROOT

pytestmark = pytest.mark.plugins


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield
    for name in ("discrete", "grid"):
        sys.modules.pop(name, None)


def found(kls):
    """Runs of the first method on the first toy, a KL for each seed."""
    import discrete
    from grid import Found, key

    there = Found("absent.jsonl")
    method = next(iter(discrete.METHODS))
    for seed, kl in enumerate(kls):
        entry = {"status": "FINISHED", "row": method, "column": discrete.TOYS[0], "seed": seed}
        entry["metrics"] = {} if kl is None else {discrete.KL: kl}
        there.entries[key(discrete.job(method, discrete.TOYS[0], seed))] = entry
    return there


@pytest.mark.parametrize("kl", [-1e-6, math.nan, None])
def test_a_kl_that_cannot_be_is_named(kl):
    import discrete

    (line,) = discrete.impossible(found([0.01, kl]))
    assert line.endswith(f"2spirals, seed 1: {kl}")
    assert discrete.impossible(found([0.01, 0.02])) == []


def test_a_cell_says_how_many_seeds_it_has():
    import discrete

    cells = [discrete.table(found(kls))[2].split(" | ")[1] for kls in ([0.01], [0.03, 0.01, 0.02])]
    assert cells == ["0.010 ¹", "0.020 (0.010 to 0.030)"]
