"""A run records a fingerprint of its data, and says when they changed."""

import json

import numpy as np
import pytest
import torch

import ebmcore
from ebmcore import ConfigError, EbmError
from support import TABLE
from support.runs import change, facts, go, resume

X = np.random.default_rng(0).normal(size=(60, 2))


@pytest.fixture
def run(config, tmp_path):
    np.save(tmp_path / "points.npy", X)
    config["plugins"]["files"].append(str(TABLE))
    config["data"] = {"type": "table", "path": str(tmp_path / "points.npy"), "holdout": 0.2}
    config["train"] = {"steps": 4, "batch_size": 20}
    config["monitors"] = [{"type": "parts:looks", "every": "end"}]
    return go(config)


def again(run, config):
    """Evaluate it once more."""
    looks = {"monitors": ["parts:looks"]}
    return ebmcore.evaluate(run.dir, looks, plugins=config["plugins"]["files"])


def test_changed_data_are_told(run, config, tmp_path):
    written = facts(run.dir)["data"]
    assert (written["rows"], written["held_out"], written["columns"]) == (60, 12, ["age", "dose"])
    assert (written["event_shape"], written["dtype"]) == ([2], "float32")
    bits = np.unpackbits(np.fromfile(run.dir / "held_out.bits", np.uint8))[:60]
    assert bits.sum() == 12
    first = again(run, config)
    assert first.warnings == []

    np.save(tmp_path / "points.npy", np.concatenate([X, X[:9] + 5]))
    appended = again(run, config)
    assert appended.metrics == first.metrics
    assert appended.warnings[0].startswith("9 rows were appended to the data since the run began")
    change(run.dir / "run.json", status="RUNNING")
    before = sorted(file.stat().st_mtime_ns for file in run.dir.rglob("*"))
    with pytest.raises(EbmError, match=r"changed since.*now 69 rows, and it had 60\. To go on"):
        resume(run.dir, config)
    assert sorted(file.stat().st_mtime_ns for file in run.dir.rglob("*")) == before

    np.save(tmp_path / "points.npy", X[::-1])
    with pytest.raises(ConfigError, match=r"data: the data aren't those .* any more: other"):
        again(run, config)
    with pytest.raises(EbmError, match="there are now other numbers or another order of rows"):
        resume(run.dir, config)


def test_a_record_of_the_data_may_lack_or_be_damaged(run, config):
    first, kept = again(run, config), facts(run.dir)
    (run.dir / "held_out.bits").write_bytes(bytes(8))
    with pytest.raises(EbmError, match=r"recorded of its data can't be read.*held_out\.bits"):
        again(run, config)
    kept.pop("data")  # as before they were recorded
    (run.dir / "held_out.bits").unlink()
    (run.dir / "run.json").write_text(json.dumps(kept))
    old = again(run, config)
    assert (old.metrics, old.warnings) == (first.metrics, [])


def test_objects_that_changed_are_refused(tmp_path):
    def made(x):
        energy = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))

        def loss(energy, x):
            return energy(x).square().mean()

        return ebmcore.Experiment(data=x, energy=energy, loss=loss)

    x = torch.from_numpy(X).float()
    run = made(x).run(steps=2, batch_size=20, tracking="off", progress=False)
    change(run.dir / "run.json", status="RUNNING")
    with pytest.raises(EbmError, match="there are now other numbers"):
        made(x + 1).resume(run.dir, steps=2, batch_size=20, tracking="off", progress=False)
    with pytest.raises(EbmError, match="there are now 59 rows, and it had 60"):
        made(lambda: x[1:]).resume(run.dir, steps=2, batch_size=20, tracking="off", progress=False)
    one = made(lambda: x + 1e-6)  # computed on another machine
    one.resume(run.dir, steps=2, batch_size=20, tracking="off", progress=False)
    assert "there are now other numbers" in facts(run.dir)["warnings"][0]
