"""A run's results in Python: rows, metrics, pictures, energies, its HTML."""

import numpy as np
import pandas as pd
import pytest
import torch

import ebmcore
from ebmcore import EbmError, Experiment
from support import PARTS, TABLE

X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def trained(make_config, tmp_path_factory):
    folder, config = tmp_path_factory.mktemp("results"), make_config()
    np.save(folder / "points.npy", X)
    config["plugins"]["files"].append(str(TABLE))
    config["data"] = {"type": "table", "path": str(folder / "points.npy"), "holdout": 0.2}
    config["data"]["transform"] = [{"type": "halved"}]
    config["train"] = {"steps": 4, "batch_size": 20, "log_every": 2}
    config["monitors"] = [{"type": "parts:looks", "every": "2 steps"}]
    return ebmcore.run(config, runs_dir=folder, progress=False)


@pytest.fixture
def opened(trained):
    return ebmcore.load(trained.dir, plugins=[str(PARTS), str(TABLE)])


def test_the_rows_are_those_of_the_file(trained, opened):
    for run in (trained, opened):
        assert run.train_data.x.shape == (48, 2)
        assert run.held_out.x.shape == (12, 2)
        assert run.train_data.y is None
        rows = torch.cat([run.train_data.x, run.held_out.x]).tolist()
        assert sorted(rows) == sorted(X.tolist())
    assert torch.equal(trained.held_out.x, opened.held_out.x)


def test_history_and_figures_are_those_on_the_disk(trained, opened):
    history = opened.history
    assert list(history.index) == [2, 4]
    assert history.index.name == "step"
    assert history["loss"].iloc[-1] == trained.metrics["loss"]
    assert list(opened.figures) == ["looks/image", "looks"]
    assert [path.name for path in opened.figures["looks"]] == [
        "step-00000002.png", "step-00000004.png",
    ]  # fmt: skip


def test_a_notebook_shows_a_run(opened):
    opened.warnings = ["<script>", "<script>"]
    shown = opened._repr_html_()
    assert "FINISHED</b> at step 4" in shown
    assert shown.count("data:image/png;base64,") == 2
    assert shown.count("&lt;script&gt;") == 1
    assert "<script>" not in shown
    assert f"<td>{opened.metrics['loss']:.6g}</td>" in shown


def test_energies_come_in_the_form_of_the_points(opened):
    tensor = opened.energies(torch.from_numpy(X))
    torch.testing.assert_close(tensor, opened.score(torch.from_numpy(X), percentile=False).energy)
    for dtype in (np.float16, np.float32, ">f8", np.longdouble):
        array = opened.energies(X.astype(dtype))
        assert isinstance(array, np.ndarray)
        np.testing.assert_allclose(array, tensor, atol=1e-2 if dtype == np.float16 else 1e-6)
    frame = pd.DataFrame(X, columns=["age", "dose"], index=range(100, 160))
    series = opened.energies(frame)
    assert isinstance(series, pd.Series)
    assert list(series.index) == list(frame.index)
    np.testing.assert_array_equal(series, tensor)
    half = opened.energies(torch.from_numpy(X).to(torch.bfloat16))
    torch.testing.assert_close(half, tensor, atol=0.1, rtol=0.1)


def objects(data, **options):
    energy = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))

    def loss(energy, x):
        return energy(x).square().mean()

    made = Experiment(data=data, energy=energy, loss=loss, **options)
    return made.run(steps=2, batch_size=20, tracking="off", progress=False)


@pytest.mark.parametrize("labelled", [False, True])
def test_an_experiment_takes_a_table_of_pandas(labelled):
    frame = pd.DataFrame(X, columns=["age", "dose"], index=range(100, 160))
    labels = pd.Series(range(60), index=frame.index)
    data = (frame, labels) if labelled else frame
    transforms = [lambda x: 2 * x] if labelled else []
    run = objects(data, holdout=0.25, transforms=transforms)
    assert run.train_data.x.shape == (45, 2)
    rows = torch.cat([run.train_data.x, run.held_out.x]).tolist()
    assert sorted(rows) == sorted(X.tolist())
    if labelled:
        np.testing.assert_array_equal(run.train_data.x, X[run.train_data.y])
        return
    assert run.energies(frame[["dose", "age"]]).index[0] == 100
    again = ebmcore.load(run.dir, energy=torch.nn.Sequential(torch.nn.Linear(2, 1)))
    with pytest.raises(EbmError, match="made of objects; its data are those it was given"):
        _ = again.train_data


def test_drawn_rows_that_differ_are_refused():
    run = objects(lambda: torch.randn(60, 2))
    with pytest.raises(EbmError, match="the data that the run was given changed"):
        _ = run.train_data


def test_words_in_a_table_are_named():
    with pytest.raises(ebmcore.ConfigError, match="column 'age' holds no numbers"):
        objects(pd.DataFrame({"age": ["a"] * 40, "dose": 1.0}))


@pytest.mark.plugins
def test_a_run_writes_its_report(opened, tmp_path):
    assert opened.report(tmp_path / "run.html") == tmp_path / "run.html"
    assert "FINISHED" in (tmp_path / "run.html").read_text()


def test_a_report_says_what_to_install(opened, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ebmcore_report", None)
    with pytest.raises(EbmError, match=r"run\.report needs `pip install ebmcore-report`"):
        opened.report()
