"""Groups of seeds that were interrupted or killed go on to the same end."""

import json
import signal
from pathlib import Path

import ebmcore_sweep
import pytest
import yaml

import ebmcore
from ebmcore.errors import EbmError
from ebmcore.runs.parent_child import children_by_key, read_children
from ebmcore.runs.status import read_account
from support import servers
from support.runs import facts, numbers, without_speed

HELD = """
import signal
import time
from pathlib import Path

from ebmcore import loss

@loss
def held(energy, x, step):
    # as long as there is a file `hold`, no run comes further, unless it is asked to end
    interrupts = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    while step >= 10 and Path("hold").exists() and interrupts.number is None:
        time.sleep(0.02)
    return energy(x).mean()
"""


@pytest.fixture
def held_group(config, begin_command):
    """Start `run --seeds 3,4` of runs that wait at step 10 to be stopped; return the process."""

    def start():
        Path("held.py").write_text(HELD)
        Path("hold").touch()
        config["plugins"]["files"].append("held.py")
        config["loss"] = {"type": "held:held"}
        config["train"] = {
            "steps": 20, "batch_size": 20, "log_every": 5, "checkpoint_every": "5 steps",
        }  # fmt: skip
        Path("c.yaml").write_text(yaml.safe_dump(config))
        return begin_command("run", "c.yaml", "--seeds", "3,4", "--json")

    return start


def begun(key):
    """Say whether a child has written a checkpoint."""
    for parent in Path("runs").glob("*/children"):
        child = children_by_key(read_children(parent.parent)).get(key)
        if child is not None and list(child.path.glob("checkpoints/step-*")):
            return child
    return None


@pytest.mark.slow
def test_a_group_that_was_interrupted_goes_on_to_the_same_end(held_group, config, forked):
    process = held_group()
    servers.wait_until(lambda: begun("seed-3"), seconds=240, what="a checkpoint")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 130
    found = json.loads(out)
    parent = Path(found["run_dir"])
    assert (found["status"], facts(parent)["status"]) == ("KILLED", "KILLED")
    child = read_account(begun("seed-3").path)
    assert (child.status, child.process_gone) == ("KILLED", False)  # it ended in order
    assert not (parent / "metrics.jsonl").exists()

    with pytest.raises(EbmError, match="resume_seeds goes on"):
        ebmcore.resume(parent)
    with pytest.raises(EbmError, match="If you trust them, add -p"):
        ebmcore_sweep.resume_seeds(parent, launcher=forked, progress=False)
    Path("hold").unlink()
    files = [str(parent / f"plugins/{name}.py") for name in ("parts", "held")]
    group = ebmcore_sweep.resume_seeds(parent, plugins=files, launcher=forked, progress=False)
    assert (group.status, list(group.children)) == ("FINISHED", ["seed-3", "seed-4"])
    assert group.children["seed-3"] == child.path  # it went on, rather than anew
    assert [task.argv[3] for task in forked.tasks] == ["resume", "run"]
    whole = ebmcore.run(config, progress=False)
    assert without_speed(numbers(child.path)) == without_speed(numbers(whole.dir))
    again = ebmcore_sweep.resume_seeds(parent, launcher=forked, progress=False)
    assert again.metrics == group.metrics
    assert len(forked.tasks) == 2


@pytest.mark.slow
def test_a_killed_group_waits_for_its_surviving_runs(held_group, forked):
    process = held_group()
    servers.wait_until(lambda: begun("seed-3"), seconds=240, what="a checkpoint")
    process.kill()
    process.wait()
    child = begun("seed-3")
    (parent,) = (p.parent for p in Path("runs").glob("*/children"))
    assert read_account(parent).process_gone
    outlived = read_account(child.path).status == "RUNNING"
    Path("hold").unlink()
    files = [str(parent / f"plugins/{name}.py") for name in ("parts", "held")]
    group = ebmcore_sweep.resume_seeds(parent, plugins=files, launcher=forked, progress=False)
    assert (group.status, len(group.children)) == ("FINISHED", 2)
    assert outlived
    assert [task.argv[3] for task in forked.tasks] == ["run"]  # seed-3 ended by itself
