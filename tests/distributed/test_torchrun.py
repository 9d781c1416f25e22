"""Runs under torchrun itself: a rank that is killed, and what an example reaches."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from support import ROOT, only_more

SOON = 15.0  # seconds from a rank's death to the end of the run that are promised


def torchrun(*arguments):
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    return subprocess.run(
        [sys.executable, *command, "ebmcore", *map(str, arguments)],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_torchrun_ends_a_run_whose_rank_is_killed(config, store):
    config["loss"][-1] |= {"at": 12, "rank": 1, "how": "SIGKILL"}
    config["tracking"] = {"experiment": "ranks"}
    Path("c.yaml").write_text(yaml.safe_dump(config))
    done = torchrun("run", "c.yaml")
    took = time.time() - Path("ended").stat().st_mtime
    assert done.returncode == 1
    (folder,) = Path("runs").glob("*")
    facts = json.loads((folder / "run.json").read_text())
    assert facts["status"] == "FAILED", facts
    assert "exited without reporting an error" in facts["error"]
    assert took < SOON
    assert store.get_run(facts["mlflow"]["run_id"]).info.status == "FAILED"


@pytest.mark.plugins
@pytest.mark.slow
@only_more
def test_torchrun_reaches_the_kl_of_one_process():
    """In 20 of the example's 150 epochs, with the rate, schedule and average that fit so many.

    One process gets to 0.074 nats with them, two ranks, whose noise is their own, to 0.090.
    """
    shorter = [
        "train.epochs=20", "lr_scheduler.total_iters=20", "lr_scheduler.end_factor=0.05",
        "train.ema=0.998", "loss.1.weight=0.02", "optimizer.lr=3e-3",
    ]  # fmt: skip
    monitors = "monitors=[{type: exact_likelihood, every: end}]"
    example = ROOT / "examples" / "methods" / "pcd.yaml"
    done = torchrun("run", example, *shorter, monitors, "tracking=off", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["status"] == "FINISHED"
    assert answer["metrics"]["exact_likelihood/kl"] <= 0.12
