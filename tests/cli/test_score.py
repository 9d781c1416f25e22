"""`ebmcore score`: a table of new points' scores, written whole or not at all."""

import csv
import json

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import torch

import ebmcore
from support import PARTS, TABLE, planted

X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
NEW = np.random.default_rng(1).normal(size=(9, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def run(make_config, tmp_path_factory):
    folder, config = tmp_path_factory.mktemp("scored"), make_config()
    np.save(folder / "points.npy", X)
    config["plugins"]["files"].append(str(TABLE))
    config["data"] = {"type": "table", "path": str(folder / "points.npy"), "holdout": 0.2}
    config |= {"train": {"steps": 4, "batch_size": 20}, "monitors": []}
    return ebmcore.run(config, runs_dir=folder, progress=False)


@pytest.fixture(scope="module")
def files():
    return [word for file in (PARTS, TABLE) for word in ("-p", str(file))]


def test_it_writes_what_run_score_gives(run, files, tmp_path, monkeypatch):
    np.save("new.npy", NEW)
    np.save("named.npy", NEW)
    expected = run.score(torch.from_numpy(NEW))
    code, said = planted.command("score", run.dir, "new.npy", *files)
    assert (code, said) == (
        0, "9 points with energy, score_norm, percentile in scores.csv\n",
    )  # fmt: skip
    with (tmp_path / "scores.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["row", "energy", "score_norm", "percentile"]
    numbers = np.array(rows, dtype=np.float64)
    assert numbers[:, 0].tolist() == list(range(9))
    for i, one in enumerate(expected, 1):  # the same bits
        assert np.array_equal(numbers[:, i].astype(one.numpy().dtype), one.numpy())

    monkeypatch.setattr("ebmcore.data.parts.AT_ONCE", 8)  # parts of four rows
    code, said = planted.command("score", run.dir, "named.npy", "-o", "s.npz", *files, "--json")
    found = json.loads(said)
    assert (code, found["n"], found["held_out"], found["warnings"]) == (0, 9, 12, [])
    assert found["columns"] == ["id", "energy", "score_norm", "percentile"]
    with np.load("s.npz") as arrays:
        assert arrays["id"].tolist() == [f"row, {i}" for i in range(9)]
        np.testing.assert_allclose(arrays["energy"], expected.energy, rtol=1e-6)
    options = ("-o", "s.parquet", "--no-percentile", "--checkpoint", "4")
    assert planted.command("score", run.dir, "named.npy", *options, *files)[0] == 0
    table = pyarrow.parquet.read_table("s.parquet").to_pydict()
    assert list(table) == ["id", "energy", "score_norm"]
    np.testing.assert_allclose(table["score_norm"], expected.score_norm, rtol=1e-6)
    code, said = planted.command("score", run.dir, "named.npy", *files)
    told = "scores.csv: is there already; name another file, or --force to replace it\n"
    assert (code, said.endswith(told)) == (2, True)
    assert planted.command("score", run.dir, "named.npy", "--force", *files)[0] == 0
    assert (tmp_path / "scores.csv").read_text().splitlines()[1].startswith('"row, 0",')


def test_bad_input_leaves_nothing(run, files, tmp_path, monkeypatch):
    bad = NEW.copy()
    bad[7, 1] = np.nan
    np.save("bad.npy", bad)
    np.save("wide.npy", np.ones((4, 3)))
    np.save("new.npy", NEW)
    (tmp_path / "scores.csv").write_text("kept")
    (tmp_path / "folder.csv").mkdir()
    monkeypatch.setattr("ebmcore.data.parts.AT_ONCE", 8)
    before = sorted(tmp_path.iterdir())
    for words, message in [
        (["bad.npy"], "bad.npy: row 7, column 'dose' (counted from 0) is nan; remove or mend it"),
        (["wide.npy"], "wide.npy: its points have shape [3], and the events of the run [2]"),
        (["nowhere.npy"], "nowhere.npy: no such file"),
        (["new.npy", "-o", "no/s.csv"], "no/s.csv: no such folder no"),
        (["new.npy", "-o", "s.txt"], "s.txt: should end in .csv, .npz, .parquet"),
        (["new.npy", "-o", "folder.csv"], "folder.csv: is no plain file, so it can't be replaced"),
        (["new.npy", "--checkpoint", "3"], "no checkpoint of step 3; there are: 4"),
    ]:
        code, said = planted.command("score", run.dir, "--force", *words, *files)
        assert (code, said.count("\n")) == (2, 1), said
        assert message in said
    code, said = planted.command("score", run.dir, "s.npz", "-o", "s.npz", *files)
    assert (code, "s.npz: holds the points" in said) == (2, True)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "scores.csv").read_text() == "kept"

    def stopped(*words):
        raise KeyboardInterrupt

    monkeypatch.setattr("ebmcore.runner.scoring.table._Csv.write", stopped)
    with pytest.raises((KeyboardInterrupt, AssertionError)):
        assert not planted.command("score", run.dir, "new.npy", "--force", *files)[0]
    assert sorted(tmp_path.iterdir()) == before


def test_held_out_points_that_are_lost_are_told(run, files, tmp_path):
    points = run.dir.parent / "points.npy"
    np.save("new.npy", NEW)
    kept = points.read_bytes()
    try:
        np.save(points, np.concatenate([X, NEW]))
        code, said = planted.command("score", run.dir, "new.npy", "--force", *files)
        assert (code, "warning: 9 rows were appended to the data" in said) == (0, True)
        first = (tmp_path / "scores.csv").read_bytes()
        np.save(points, X + 1)
        code, said = planted.command("score", run.dir, "new.npy", "--force", *files)
        assert (code, "other numbers or another order of rows" in said) == (2, True)
        options = ("--force", "--no-percentile")
        assert options[1] in said
        assert planted.command("score", run.dir, "new.npy", *options, *files)[0] == 0
    finally:
        points.write_bytes(kept)
    planted.command("score", run.dir, "new.npy", "--force", *files)
    assert (tmp_path / "scores.csv").read_bytes() == first


@pytest.mark.plugins
def test_a_toy_reads_new_points_by_the_dataset_file(config, files, tmp_path):
    toy = ebmcore.run(config | {"train": {"steps": 2, "batch_size": 20}}, progress=False)
    (tmp_path / "new.csv").write_text("age,dose\n0.5,1.0\n-1,2.25\n")
    code, said = planted.command("score", toy.dir, "new.csv", "--force", *files)
    assert (code, said.startswith("2 points with")) == (0, True), said
    energy = toy.energy(torch.tensor([[0.5, 1.0], [-1.0, 2.25]])).detach().numpy()
    rows = (tmp_path / "scores.csv").read_text().splitlines()[1:]
    np.testing.assert_allclose([float(row.split(",")[1]) for row in rows], energy, rtol=1e-5)
    (tmp_path / "new.csv").write_text("age,dose\n0.5,1.0\n-1,nan\n")
    code, said = planted.command("score", toy.dir, "new.csv", "--force", *files)
    assert (code, said.startswith("new.csv")) == (2, True)
    assert said.count("\n") == 1
    (tmp_path / "new.csv").write_text("a,b,c\n0.5,1,2\n")
    code, said = planted.command("score", toy.dir, "new.csv", "--force", *files)
    assert (code, "points have shape [3], and the events of the run [2]" in said) == (2, True)


@pytest.mark.plugins
def test_a_table_of_the_users_to_its_scores(config, files, tmp_path):
    frame = pd.DataFrame(X, columns=["age", "dose"]).assign(target=np.arange(60) % 2)
    frame.insert(0, "name", [f"a{i}" for i in range(60)])
    frame.to_csv("train.csv", index=False)
    keys = {"label": "target", "id": "name", "impute": "mean"}
    data = {"type": "file", "path": "train.csv", **keys}
    config["data"] = data | {"transform": "standardise", "holdout": 0.2}
    config |= {"train": {"steps": 4, "batch_size": 20}, "monitors": []}
    run = ebmcore.load(ebmcore.run(config, progress=False).dir, plugins=files[1::2])
    new = pd.DataFrame({"dose": NEW[:, 1], "name": [f"b{i}" for i in range(9)], "age": NEW[:, 0]})
    new.to_csv("new.csv", index=False)
    found = run.score(new)
    assert found.percentile.between(0, 100).all()
    code, said = planted.command("score", run.dir, "new.csv", "--force", *files)
    assert code == 0, said
    written = pd.read_csv("scores.csv")
    assert list(written.columns) == ["id", "energy", "score_norm", "percentile"]
    assert written["id"].tolist() == new["name"].tolist()
    for name in found.columns:
        np.testing.assert_allclose(written[name], found[name], rtol=1e-6)
    holed = new.assign(age=np.nan)
    with pytest.raises(ebmcore.DataError, match=r"age.* is nan; .*, or score a file of the table"):
        run.score(holed)
    holed.to_csv("holed.csv", index=False)
    assert run.score("holed.csv").energy.isfinite().all()
    new.drop(columns="age").to_csv("less.csv", index=False)
    code, said = planted.command("score", run.dir, "less.csv", "--force", *files)
    assert (code, "'age'" in said, said.count("\n")) == (2, True, 1), said
    with pytest.raises(ebmcore.DataError, match="x: has no column 'age'"):
        run.score(new.drop(columns="age"))
