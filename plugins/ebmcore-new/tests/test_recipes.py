"""Every kind of data: `new` writes a config, and its training runs to the end."""

import math
import os

import numpy as np
import pytest
import torch
from PIL import Image

import ebmcore

RNG = np.random.default_rng
MORE = bool(os.environ.get("EBMCORE_TEST_MORE"))  # all cases, with every monitor


def csv(path, rows, header=""):
    text = [header] if header else []
    path.write_text("\n".join([*text, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def plane(folder):
    return csv(folder / "plane.csv", RNG(0).normal(50, 9, (60, 2)).round(3), "height,weight")


def table(folder):
    return csv(folder / "table.csv", RNG(0).normal(5, [1, 2, 30, 400], (60, 4)), "a,b,c,d")


def patients(folder):
    """A table as they come: an index, names, words, gaps, a far value, labels."""
    rng = RNG(1)
    rows = []
    for i in range(80):
        dose = "" if i % 9 == 4 else f"{rng.lognormal(0, 2):.3f}"
        row = [i, f"P{i:03}", int(rng.integers(20, 80)), dose, f"{rng.normal():.3f}"]
        rows.append([*row, f"{rng.normal(9, 3):.3f}", "fm"[i % 2], 3, int(i % 8 == 0)])
    return csv(folder / "patients.csv", rows, ",patient,age,dose,x1,x2,sex,site,target")


def large_table(folder):
    np.save(folder / "large.npy", RNG(0).normal(size=(25_001, 5)).astype("float32"))
    return folder / "large.npy"


def folder_of_images(folder):
    for name in "ab":
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(8):
            levels = RNG(i).integers(0, 255, (40 + i, 48, 3), dtype=np.uint8)
            Image.fromarray(levels).save(folder / "photos" / name / f"{i}.png")
    return folder / "photos"


def small_images(folder):
    x = RNG(0).integers(0, 17, (40, 8, 8)).astype("uint8")
    np.savez(folder / "small.npz", images=x, labels=np.arange(40) % 3)
    return folder / "small.npz"


def sequences(folder):
    phase = RNG(0).uniform(0, 6, (60, 1))
    np.save(folder / "waves.npy", np.sin(np.linspace(0, 6, 24) + phase) * 7 + 100)
    return folder / "waves.npy"


def ragged(folder):
    torch.save([torch.randn(4 + i % 5, 2) for i in range(30)], folder / "ragged.pt")
    return folder / "ragged.pt"


def bits(folder):
    np.save(folder / "bits.npy", RNG(0).integers(0, 2, (60, 3, 3)))
    return folder / "bits.npy"


def tokens(folder):
    np.save(folder / "tokens.npy", RNG(0).integers(0, 5, (60, 6)))
    return folder / "tokens.npy"


CASES = {
    plane: ("mlp", {"exact_likelihood", "landscape"}),
    table: ("kernel_density", {"standardise"}),
    patients: ("kernel_density", {"index: 0", "id: patient", "label: target", "impute: median",
                                  "drop: [sex, site]", "rank_gaussian}]"}),
    large_table: ("noise_conditional", {"holdout: 0.1"}),
    folder_of_images: ("conv", {"size: 32", "colour: rgb", "labels: folders", "outputs: 2"}),
    small_images: ("conv", {"x_key: images", "y_key: labels", "shape: [1, 8, 8]", "min_max"}),
    sequences: ("noise_conditional", {"standardise, per: event"}),
    ragged: ("lstm", {"per: feature", "noise_conditional"}),
    bits: ("rbm", {"space: binary"}),
    tokens: ("transformer", {"space: {type: categorical, k: 5}"}),
}  # fmt: skip


CASES_ALWAYS = (plane, patients, small_images, sequences, ragged, bits, tokens)


@pytest.mark.parametrize("make", CASES if MORE else CASES_ALWAYS, ids=lambda make: make.__name__)
def test_new_data_train(make, command, tmp_path):
    energy, holds = CASES[make]
    data = make(tmp_path).relative_to(tmp_path)
    done = command("new", "mine.yaml", "--data", data)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].strip() == "ebmcore run mine.yaml"
    text = (tmp_path / "mine.yaml").read_text()
    for words in {f"type: {energy}", *holds}:
        assert words in text
    changes = {"train.steps": 2, "tracking": "off"}
    if not MORE:  # they are built and asked whether they fit by `new` itself
        changes["monitors"] = [{"type": "advice", "every": "end", "n": 30}]
    run = ebmcore.run("mine.yaml", changes, progress=False)
    assert run.status == "FINISHED"
    assert math.isfinite(run.metrics["loss"])
    assert not [text for text in run.warnings if "scale" in text or "real" in text]
