"""Short runs in this process, and what they leave behind: facts, metrics, tensors, copies."""

import json
import shutil

import torch
from safetensors.torch import load_file

import ebmcore

CLOCKED = ("time", "train/steps_per_second")  # what differs between two runs of the same bits


def go(config, **overrides):
    """Train a config; `__` in a keyword stands for the dot of an override."""
    given = {key.replace("__", "."): value for key, value in overrides.items()}
    return ebmcore.run(config, given, progress=False)


def resume(run_dir, config, **options):
    """Resume a run of a config whose plugins are local files."""
    return ebmcore.resume(run_dir, plugins=config["plugins"]["files"], progress=False, **options)


def facts(run_dir):
    """Read `run.json`."""
    return json.loads((run_dir / "run.json").read_text())


def change(file, **fields):
    """Change fields of a JSON file, such as `run.json`."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def lines(run_dir):
    """Read the lines of metrics, without what a clock says."""
    found = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in CLOCKED} for line in found]


def tensors(run_dir, step=None):
    """Read every tensor of a step's checkpoint, or of the last one."""
    last = max(run_dir.glob("checkpoints/step-*"))
    place = last if step is None else run_dir / f"checkpoints/step-{step:08d}"
    return {
        f"{file.stem}/{name}": value
        for file in sorted(place.glob("*.safetensors"))
        for name, value in load_file(file).items()
    }


def weights(run, name="weights"):
    """Read one file of tensors of a run's last checkpoint."""
    return load_file(max(run.dir.glob("checkpoints/step-*")) / f"{name}.safetensors")


def same(one, other):
    """Say whether two mappings hold the same tensors, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def assert_same(one, other):
    """Assert that two runs left the same last checkpoint and the same metrics."""
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert lines(one) == lines(other)


def cut(run, step):
    """Copy a run's directory as it was when a checkpoint had been written and the process died."""
    folder = run.dir.with_name(f"{run.dir.name}-cut-{step}")
    shutil.copytree(run.dir, folder)
    for place in folder.glob("checkpoints/step-*"):
        if int(place.name[5:]) > step:
            shutil.rmtree(place)
    change(folder / "run.json", status="RUNNING", pid=0)
    return folder


def numbers(run_dir):
    """Return a run's epoch and metrics at each step."""
    found = {}
    for text in (run_dir / "metrics.jsonl").read_text().splitlines():
        line = json.loads(text)
        del line["time"]
        found.setdefault(line.pop("step"), {}).update(line)
    return found


def without_speed(found):
    return {
        step: {name: value for name, value in line.items() if "per_second" not in name}
        for step, line in found.items()
    }
