"""Real runs whose event files are read back by TensorBoard's own reader."""

import shutil
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path

import ebmcore_tensorboard
import pytest
import yaml
from ebmcore_tensorboard import TensorBoard
from ebmcore_tensorboard.events import event_files, read_events
from ebmcore_tensorboard.plugin import ebmcore_trackers
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import ebmcore
from ebmcore import ConfigError, EbmError, RunInterrupted, TrackedRun
from ebmcore.runs import read_object
from ebmcore.trackers import sync

PARTS = """
import os
import signal
import torch
from pathlib import Path
from torch import nn
from ebmcore import dataset, energy, loss, monitor

@dataset
def zeros(*, generator=None):
    return torch.randn(40, 2, generator=generator)

@energy
class bowl(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, x):
        return (self.weight * x).square().sum(1)

@loss
def depth(energy, x, step, *, stop_at: int = -1):
    if step == stop_at and not Path("stopped").exists():
        Path("stopped").touch()
        os.kill(os.getpid(), signal.SIGINT)
    return energy(x).mean()

@monitor
def looks(view):
    return {"image": torch.rand(8, 8, generator=view.generator), "mean": 1.0}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts.py").write_text(PARTS)
    return {
        "name": "small",
        "plugins": {"files": [str(tmp_path / "parts.py")]},
        "data": "zeros",
        "energy": "bowl",
        "loss": {"type": "depth"},
        "optimizer": {"type": "SGD", "lr": 0.01},
        "monitors": [{"type": "looks", "every": "10 steps"}],
        "train": {"steps": 30, "batch_size": 10, "log_every": 2, "checkpoint_every": "6 steps"},
        "tracking": "tensorboard",
    }


def read(folder):
    seen = EventAccumulator(str(folder), {"scalars": 0, "images": 0, "tensors": 0})
    seen.Reload()
    return seen


def held(folder):
    """Count each (metric, step) in all event files, also what TensorBoard would hide."""
    return Counter(
        (value.tag, one.step)
        for one in read_events(folder)
        for value in one.summary.value
        if value.HasField("simple_value")
    )


def recorded(run_dir):
    found = Counter()
    for line in (run_dir / "metrics.jsonl").read_bytes().splitlines():
        fields = read_object(line)
        found.update((k, fields["step"]) for k in fields.keys() - {"step", "epoch", "time"})
    return found


def test_it_is_discovered_and_offers_the_tracker():
    (point,) = [p for p in entry_points(group="ebmcore.v1") if p.name == "tensorboard"]
    assert point.load().ebmcore_trackers() == ebmcore_trackers()
    (name,) = ebmcore_trackers()
    assert ebmcore.Host.discover().find("tracker", name).load() is TensorBoard
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ebmcore_tensorboard.nothing


def test_a_run_is_shown(config):
    run = ebmcore.run(config, progress=False)
    assert (run.status, run.warnings, run.mlflow) == ("FINISHED", [], {})
    seen = read(run.dir / "tensorboard")
    lines = [yaml.safe_load(line) for line in (run.dir / "metrics.jsonl").read_text().splitlines()]
    written = {line["step"]: line for line in lines if "loss" in line}
    scalars = seen.Scalars("loss")
    assert [value.step for value in scalars] == list(written) == list(range(2, 31, 2))
    for value in scalars:
        assert value.value == pytest.approx(written[value.step]["loss"], rel=1e-6)
        assert value.wall_time == pytest.approx(written[value.step]["time"])
    assert held(run.dir / "tensorboard") == recorded(run.dir)
    images = seen.Images("looks/image")
    assert [image.step for image in images] == [10, 20, 30]
    (file,) = run.dir.glob("figures/looks/image-step-00000020.png")
    assert images[1].encoded_image_string == file.read_bytes()
    assert (images[1].width, images[1].height) > (0, 0)
    (text,) = seen.Tensors("config")
    shown = text.tensor_proto.string_val[0].decode()
    assert yaml.safe_load(shown) == yaml.safe_load((run.dir / "config.yaml").read_text())


def test_a_run_that_was_stopped_and_resumed_has_each_step_once(config, tmp_path):
    config["loss"]["stop_at"] = 17
    with pytest.raises(RunInterrupted) as caught:
        ebmcore.run(config, progress=False)
    run_dir = caught.value.run.dir
    shutil.rmtree(sorted(run_dir.glob("checkpoints/*"))[-1])  # it goes on from the one before
    run = ebmcore.resume(run_dir, plugins=[str(tmp_path / "parts.py")], progress=False)
    assert run.status == "FINISHED"
    folder = run_dir / "tensorboard"
    assert len(event_files(folder)) == 2
    assert held(folder) == recorded(run_dir)
    assert [image.step for image in read(folder).Images("looks/image")] == [10, 20, 30]


def test_an_unwritable_folder_is_a_warning_and_sync_catches_up(config, tmp_path):
    (tmp_path / "logs").write_text("a file")
    config["tracking"] = [{"type": "tensorboard", "log_dir": str(tmp_path / "logs")}]
    run = ebmcore.run(config, progress=False)
    assert run.status == "FINISHED"
    (warning,) = run.warnings
    assert f"the tensorboard mirror is not complete: {tmp_path}/logs/{run.dir.name}: " in warning
    (tmp_path / "logs").unlink()
    assert [found.outcome for found in sync(run.dir)] == ["sent"]
    assert held(tmp_path / "logs" / run.dir.name) == recorded(run.dir)
    assert [found.outcome for found in sync(run.dir)] == ["already there"]
    shutil.rmtree(tmp_path / "logs")
    assert [found.outcome for found in sync(run.dir, again=True)] == ["sent"]
    assert held(tmp_path / "logs" / run.dir.name) == recorded(run.dir)


def test_a_link_out_of_the_run_is_not_followed(tmp_path):
    run_dir, other = tmp_path / "run", tmp_path / "other"
    run_dir.mkdir()
    other.mkdir()
    (run_dir / "tensorboard").symlink_to(other)
    with pytest.raises(EbmError, match="is a link to another place"):
        TensorBoard().begin(TrackedRun(dir=run_dir, name="x", started=0.0))
    assert not list(other.iterdir())


def test_a_wrong_key_is_named_with_a_near_miss(config):
    config["tracking"] = [{"type": "tensorboard", "logdir": "x"}]
    with pytest.raises(ConfigError, match=r"tracking\.0\.logdir: .*log_dir"):
        ebmcore.run(config, progress=False)
    config["tracking"] = "tensorbord"
    with pytest.raises(ConfigError, match=r"no tracker 'tensorbord'.*'tensorboard'"):
        ebmcore.run(config, progress=False)


def test_a_torn_record_hides_nothing_that_comes_after(tmp_path):
    tracker = TensorBoard(log_dir=str(tmp_path))
    run = TrackedRun(dir=Path("run"), name="run", started=0.0)
    tracker.begin(run)
    assert tracker.open()
    tracker.log_points([ebmcore.Point("loss", 1, 10.0, 0.5), ebmcore.Point("loss", 2, 11.0, 0.25)])
    tracker.close()
    (file,) = event_files(tmp_path / "run")
    file.write_bytes(file.read_bytes()[:-5])
    again = TensorBoard(log_dir=str(tmp_path))
    again.begin(run)
    assert not again.open()
    assert list(again.steps_of("loss")) == [1]
    again.log_points([ebmcore.Point("loss", 2, 11.0, 0.25)])
    assert [value.step for value in read(tmp_path / "run").Scalars("loss")] == [1, 2]
    again.close()
