"""A folder of labelled images: augmented, trained on, judged by `fidelity`, and its best kept."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import ebmcore
from ebmcore.runner.api import prepare
from ebmcore.runner.compose import compose

pytestmark = pytest.mark.plugins


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A run on 60 images of 6×5, bright on the left or on the right."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for number in range(60):
        side = ("left", "right")[number % 2]
        levels = random.integers(0, 60, (6, 5), dtype=np.uint8)
        levels[:, slice(0, 2) if side == "left" else slice(3, 5)] += 150
        (folder / side).mkdir(exist_ok=True)
        Image.fromarray(levels).save(folder / side / f"{number}.png")
    return {
        "name": "images",
        "data": {
            "type": "images", "path": str(folder), "size": 5, "labels": "folders", "holdout": 0.2,
            "transform": [{"type": "augment", "shift": 1}],
        },
        "energy": {"type": "conv", "channels": [4, 4]},
        "sampler": {"type": "langevin", "n_steps": 2, "bounds": [0, 1]},
        "chains": {"type": "persistent", "size": 16},
        "loss": {"type": "contrastive_divergence"},
        "optimizer": {"type": "Adam"},
        "train": {"steps": 4, "batch_size": 16, "keep_best": "fidelity/frechet"},
        "monitors": [{"type": "fidelity", "every": "2 steps", "n": 10}],
        "tracking": "off",
    }  # fmt: skip


@pytest.mark.parametrize("loader", [None, {"workers": 0}], ids=["memory", "loader"])
def test_batches_are_augmented_and_held_out_images_are_not(config, loader):
    data = compose(*prepare({**config, "data": {**config["data"], "loader": loader}})).data
    folder = data.source.original
    images, labels = folder()
    assert (data.x.shape, data.held_out.shape) == ((48, 1, 5, 5), (12, 1, 5, 5))
    for rows, y in ((data.x, data.y), (data.held_out, data.held_out_y)):
        same = (rows[:, None] == images).flatten(2).all(2)  # each is one of the files, unchanged
        assert same.sum(1).tolist() == [1] * len(rows)
        assert torch.equal(labels[same.int().argmax(1)], y)
    batch = data.transforms.draw(data.x if data.rows is None else data.rows, torch.Generator())
    assert not torch.equal(batch, data.x)
    assert folder.label_names == ("left", "right")


def test_the_best_weights_by_fidelity_are_kept(config):
    run = ebmcore.run(config, progress=False)
    best = json.loads((run.dir / "run.json").read_text())["best"]
    assert best["metric"] == "fidelity/frechet"
    values = {
        line["step"]: line["fidelity/frechet"]
        for line in map(json.loads, (run.dir / "metrics.jsonl").read_text().splitlines())
        if "fidelity/frechet" in line
    }
    assert values[best["step"]] == best["value"] == min(values.values())
    assert {"kernel_floor", "confident", "classes"} <= {
        name.removeprefix("fidelity/") for name in run.metrics
    }
