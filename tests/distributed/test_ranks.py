"""Ranks train one run: gradients, counts, chains, decisions and checkpoints of all of them."""

import json
from pathlib import Path

import pytest
import torch

from support import RANK_GRADIENTS
from support.runs import lines, tensors


@pytest.mark.plugins
@pytest.mark.slow
def test_two_ranks_average_to_the_gradient_of_one(on_ranks):
    ended = on_ranks(2, option=("-f", RANK_GRADIENTS))
    assert ended.codes == [0, 0], ended.text
    found = json.loads(ended.out)
    assert len(found["gradients"]) >= 30
    for name, row in found["gradients"].items():
        assert row["off"] < 1e-12, name
        assert row["share"] > 0.01 or "_parameters" in name, name
    assert found["compiled"] < 1e-12


def test_ranks_train_one_run_and_stop_it_at_one_step(run, config):
    config["callbacks"] = [{"type": "totals", "stop_after": 3}]
    ended = run(2, config, "--json")
    assert ended.codes == [0, 0], ended.text
    assert len(list(Path("runs").glob("*"))) == 1
    answer = json.loads(ended.out)  # one document, which is rank 0's
    assert answer["status"] == ended.facts["status"] == "FINISHED"
    assert ended.facts["ranks"] == 2
    assert ended.facts["step"] == 21  # the third record of each seventh step
    assert answer["stopped"] == ended.facts["stopped"] == "3 records are enough"
    assert [line["step"] for line in lines(ended.dir) if "crowd/x" in line] == [10, 20, 21]
    # the batch is the config's, of all ranks together, and no two ranks' chains are the same
    assert answer["metrics"]["crowd/x"] == answer["metrics"]["crowd/x_neg"] == 20
    assert answer["metrics"]["crowd/different"] == 20
    assert answer["metrics"]["crowd/kept"] == 80  # 40 of each rank, as `kept` shares out nothing
    (warning,) = (w for w in answer["warnings"] if "divided over the ranks" in w)
    assert "each of the 2 ranks keeps as many chains" in warning
    assert {"rank-1.safetensors", "chains.safetensors"} <= {
        file.name for file in max(ended.dir.glob("checkpoints/*")).iterdir()
    }


def test_counts_and_buffers_are_those_of_the_whole_batch(run, config):
    config["energy"] = {"type": "remembers"}
    config["loss"] = {"type": "gap"}
    config["train"] |= {"data_noise": 0.0, "steps": 1, "ema": None}
    alone, both = run(1, config), run(2, config)
    assert alone.codes + both.codes == [0, 0, 0], alone.text + both.text
    (one,), (two,) = ([line for line in lines(e.dir) if "loss" in line] for e in (alone, both))
    for name in ("train/energy_evaluations", "train/gradient_evaluations"):
        assert one[name] == two[name]
    found, expected = tensors(both.dir), tensors(alone.dir)
    assert torch.equal(found["weights/mask"], expected["weights/mask"])
    assert expected["weights/mean"].abs().sum() > 0
    # E is asked for x and then for x⁻, whose draws are each rank's own: only x is the same
    assert not torch.equal(found["weights/mean"], torch.zeros(2))


def test_sigusr1_to_one_rank_saves_all(run, config):
    config["loss"][-1] |= {"at": 12, "rank": 1, "how": "SIGUSR1"}
    config["train"]["checkpoint_every"] = "end"
    config["callbacks"] = ["ends_when_saved"]  # which all ranks learn in the next step's message
    ended = run(2, config)
    assert ended.codes == [0, 0], ended.text
    places = sorted(place.name for place in ended.dir.glob("checkpoints/*"))
    assert places == ["step-00000013", "step-00000014"]
    assert (ended.facts["status"], ended.facts["stopped"]) == ("FINISHED", "it is saved")


@pytest.mark.parametrize("choice", ["stop", "skip", "rollback"])
def test_ranks_decide_alike_on_what_diverged_on_one(run, config, choice):
    config["loss"].append({"type": "overflows_on", "rank": 1, "at": 12})
    config["train"]["on_divergence"] = choice
    ended = run(2, config)
    if choice == "stop":
        assert ended.codes == [1, 1], ended.text
        assert "step 13" in ended.facts["error"]
        return
    assert ended.codes == [0, 0], ended.text
    assert ended.facts["status"] == "FINISHED"
    assert (ended.facts["skipped"], ended.facts["rollbacks"]) == (
        (1, 0) if choice == "skip" else (0, 1)
    )


def test_the_best_is_saved_when_rank_0_hears_of_it(run, config):
    config["train"] |= {"keep_best": "max crowd/different", "checkpoint_every": "end"}
    ended = run(2, config)
    assert ended.codes == [0, 0], ended.text
    assert ended.facts["best"]["step"] == 10
    assert (ended.dir / "checkpoints" / "step-00000010").is_dir()
