"""Ranks that die, hang or are told to stop: the run ends alike on all, and goes on bit for bit."""

import json
import re
import shutil
import time
from pathlib import Path

import pytest
import torch

import ebmcore
from support import OPTIM
from support.runs import assert_same, lines, tensors

SOON = 15.0  # seconds from a rank's death to the end of the run that are promised


def files_of(config):
    return [word for file in config["plugins"]["files"] for word in ("-p", file)]


def heal(folder):
    """Change the config so that the part that ended the run raises no more."""
    file = folder / "config.yaml"
    text, n = re.subn(r"\bat: \d+", "at: -1", file.read_text())
    assert n
    file.write_text(text)


@pytest.mark.plugins
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "at"), [("labels", 10), ("bits", 25)], indirect=["kind"])
def test_a_group_that_was_killed_goes_on_bit_for_bit(run, on_ranks, config, kind, at):
    """Rank 0's monitor alone knows the metric that the schedule follows on both."""
    config["plugins"]["files"].append(str(OPTIM))
    config["optimizer"] = {"type": "Heavy", "lr": 0.02}
    config["lr_scheduler"] = {"type": "ReduceLROnPlateau", "metric": "crowd/x", "patience": 0}
    config["loss"][-1] |= {"at": -1}
    whole = run(2, config)
    assert whole.codes == [0, 0], whole.text
    shutil.move("runs", "whole")
    config["loss"][-1] |= {"at": at, "rank": -1, "how": "SIGKILL"}
    killed = run(2, config)
    assert killed.codes == [-9, -9]
    assert killed.facts["status"] == "RUNNING"
    heal(killed.dir)
    resumed = on_ranks(2, "resume", killed.dir, *files_of(config))
    assert resumed.codes == [0, 0], resumed.text
    assert resumed.facts["status"] == "FINISHED"
    (original,) = Path("whole").glob("*")
    assert_same(original, resumed.dir)
    rates = {line["train/lr"] for line in lines(original) if "train/lr" in line}
    assert len(rates) == 2  # 20 events at steps 10 and 20, so the rate falls once before the end
    if kind == "labels":
        sizes = [line["sampler/step_size"] for line in lines(original) if "train/lr" in line]
        assert len(set(sizes)) > 2  # both ranks fit one


def of_all_ranks(folder, name, step=None):
    """Return what the chains of all ranks keep under a name, at a step or at the end."""
    found = tensors(folder, step)
    places = (f"chains/{name}", f"rank-1/state.chains.{name}")
    return torch.cat([found[place] for place in places if place in found])


@pytest.mark.plugins
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_with_another_number_of_ranks_the_chains_are_dealt_anew(
    run, on_ranks, config, before, after
):
    config["data"] = {"type": "gaussian_mixture", "n": 200, "labels": True}
    net = {"type": "mlp", "hidden": [8], "activation": "silu", "outputs": 5}
    config["energy"] = {"type": "class_conditional", "net": net}
    config["chains"] = {"type": "persistent", "size": 60}
    config["loss"] = [{"type": "contrastive_divergence"}, {"type": "ends"}]
    del config["networks"]
    config["loss"][-1] |= {"at": 25, "rank": -1, "how": "SIGKILL"}
    killed = run(before, config)
    assert killed.codes == [-9] * before
    heal(killed.dir)
    chains, labels = (of_all_ranks(killed.dir, name, 22) for name in ("buffer", "y"))
    assert len(chains) == len(labels) == 60
    assert len(labels.unique()) == 5
    opened = ebmcore.load(killed.dir, plugins=config["plugins"]["files"])
    kept = opened.chains.kept()
    assert torch.equal(kept.x, chains)  # all of them, in one process
    assert torch.equal(kept.y, labels)
    assert kept.carried["momentum"].shape == chains.shape
    assert kept.carried["momentum"].abs().min() > 0
    assert not kept.fresh.any()  # each of them has gone on by step 22
    resumed = on_ranks(after, "resume", killed.dir, "--json", *files_of(config))
    assert resumed.codes == [0] * after, resumed.text
    (warning,) = (w for w in json.loads(resumed.out)["warnings"] if "redistributed" in w)
    assert re.search(rf"had {before} ranks? and resumes with {after}:", warning)
    assert resumed.facts["status"] == "FINISHED"
    assert not torch.equal(of_all_ranks(resumed.dir, "buffer"), chains)
    assert torch.equal(of_all_ranks(resumed.dir, "y"), labels)  # each chain has kept its own
    assert [line["step"] for line in lines(resumed.dir) if "loss" in line] == [7, 14, 21, 28, 30]


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("how", ["raise", "SIGKILL"])
def test_a_rank_that_dies_ends_the_run_as_failed(run, config, rank, how):
    config["loss"][-1] |= {"at": 12, "rank": rank, "how": how}
    ended = run(2, config)
    took = time.time() - Path("ended").stat().st_mtime
    assert ended.codes[1 - rank] == 1, ended.text
    assert ended.codes[rank] == (1 if how == "raise" else -9)
    assert ended.facts["status"] == "FAILED"
    assert "Traceback (most recent call last)" in ended.log
    assert took < SOON
    if how == "raise":
        assert "broken on purpose" in ended.facts["error"]
        assert 'raise KeyError("broken on purpose")' in ended.log
        assert rank == 0 or ended.facts["error"].startswith("rank 1: ")
    else:
        said = "exited without reporting an error" if rank else "rank 0 is gone"
        assert said in ended.facts["error"]


@pytest.mark.slow
def test_a_hanging_rank_ends_the_run_after_the_timeout(run, config):
    config["loss"].append({"type": "sleeps", "at": 12})
    ended = run(2, config, EBMCORE_RANKS_TIMEOUT="1")
    assert ended.codes == [1, 1], ended.text
    assert ended.facts["status"] == "FAILED"
    assert "can't reach the others" in ended.facts["error"]


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_rank_stops_all_at_one_step(run, on_ranks, config, rank):
    config["loss"][-1] |= {"at": -1}
    whole = run(2, config)
    shutil.move("runs", "whole")
    config["loss"][-1] |= {"at": 12, "rank": rank, "how": "SIGTERM"}
    stopped = run(2, config)
    assert stopped.codes == [143, 143], stopped.text
    assert (stopped.facts["status"], stopped.facts["step"]) == ("KILLED", 13)
    heal(stopped.dir)
    resumed = on_ranks(2, "resume", stopped.dir, *files_of(config))
    assert resumed.codes == whole.codes == [0, 0], resumed.text
    (original,) = Path("whole").glob("*")
    assert_same(original, resumed.dir)
