"""Which checkpoints a run keeps: by cadence, the last ones, and the best."""

import json

import pytest

import ebmcore
from ebmcore import EbmError
from support.runs import assert_same, cut, go, resume


def test_cadence_retention_and_the_best(config):
    config["train"] |= {"steps": 60, "keep_checkpoints": 2, "keep_best": "counts/zigzag"}
    run = go(config)
    steps = [int(place.name[5:]) for place in sorted(run.dir.glob("checkpoints/step-*"))]
    assert steps == [30, 55, 60]  # zigzag is lowest at its third look
    facts = json.loads((run.dir / "run.json").read_text())
    assert facts["best"] == {"metric": "counts/zigzag", "value": -3.0, "step": 30}
    assert ebmcore.load(run.dir, plugins=config["plugins"]["files"], checkpoint="best").step == 30
    highest = go(config, **{"train.keep_best": "max counts/zigzag"})
    assert json.loads((highest.dir / "run.json").read_text())["best"]["step"] == 40
    (warning,) = go(config, **{"train.keep_best": "no/such"}).warnings
    assert "no metric 'no/such' was recorded; there are: counts/looks, counts/zigzag" in warning


def test_the_best_survives_a_stop(config):
    config["train"] |= {"steps": 60, "keep_checkpoints": 2, "keep_best": "counts/zigzag"}
    whole = go(config)
    resumed = resume(cut(whole, 50), config)
    names = [sorted(p.name for p in r.dir.glob("checkpoints/*")) for r in (whole, resumed)]
    assert names[0] == names[1]
    assert_same(whole.dir, resumed.dir)


def test_checkpoints_by_the_clock(config):
    config["train"] |= {"steps": 30, "checkpoint_every": "0.00001 minutes", "keep_checkpoints": 99}
    assert len(list(go(config).dir.glob("checkpoints/step-*"))) == 30
    config["train"]["checkpoint_every"] = "10 minutes"
    assert len(list(go(config).dir.glob("checkpoints/step-*"))) == 1


def test_a_wrong_cadence_is_refused(config):
    config["train"]["checkpoint_every"] = "10 parsecs"
    with pytest.raises(EbmError, match=r"checkpoint_every should be a cadence .*'10 parsecs'"):
        go(config)
