"""Scores of new points: by hand, whatever form they come in."""

import numpy as np
import pandas as pd
import pytest
import torch

import ebmcore
from ebmcore import Categorical, DataError, EbmError, Experiment, Transform
from support import TABLE
from support.runs import go, resume  # noqa: F401

X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
NEW = np.random.default_rng(1).normal(size=(9, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def trained(make_config, tmp_path_factory):
    """A run of a table whose transform has a log |det|, and the config."""
    folder, config = tmp_path_factory.mktemp("scored"), make_config()
    np.save(folder / "points.npy", X)
    config["plugins"]["files"].append(str(TABLE))
    config["data"] = {"type": "table", "path": str(folder / "points.npy"), "transform": "halved"}
    config["data"]["holdout"] = 0.2
    config["train"] = {"steps": 4, "batch_size": 20, "ema": 0.5}
    config["monitors"] = []
    return ebmcore.run(config, runs_dir=folder, progress=False), config


@pytest.fixture
def run(trained):
    """The same run, opened again."""
    run, config = trained
    return ebmcore.load(run.dir, plugins=config["plugins"]["files"])


def by_hand(run, x):
    x, w = torch.as_tensor(x), run.energy.weight.detach()
    energy = 0.5 * (w * x / 2).square().sum(1) + 2 * np.log(2)
    return energy, (w * w * x / 2).norm(dim=1)


def held_out_rows(run, n):
    bits = np.unpackbits(np.fromfile(run.dir / "held_out.bits", np.uint8))[:n]
    return torch.from_numpy(bits.astype(bool))


def test_they_are_those_by_hand(run, trained):
    scores = run.score(torch.from_numpy(NEW))
    energy, norm = by_hand(run, NEW)
    torch.testing.assert_close(scores.energy, energy)
    torch.testing.assert_close(scores.score_norm, norm)
    at_most = (by_hand(run, X[held_out_rows(run, 60)])[0][None] <= energy[:, None]).float().mean(1)
    torch.testing.assert_close(scores.percentile, 100 * at_most.double(), rtol=1e-6, atol=0)
    assert 0 < scores.percentile.min() < scores.percentile.max()
    own = run.score(X, percentile=False)
    assert own.percentile is None
    lowest = X[own.energy.argmin()]
    assert run.score(lowest[None] * 0).percentile.tolist() == [0.0]
    assert run.score(lowest[None] * 1000).percentile.tolist() == [100.0]
    before = trained[0].score(torch.from_numpy(NEW))  # the run that trained, not opened again
    for one, other in zip(before, scores, strict=True):
        assert torch.equal(one, other)
    alone = [run.score(torch.from_numpy(NEW[i : i + 1])).energy for i in range(9)]
    torch.testing.assert_close(torch.cat(alone), scores.energy)


def test_the_form_given_is_the_form_returned(run, tmp_path):
    tensors = run.score(torch.from_numpy(NEW))
    for dtype in (np.float32, np.float64, np.float16):
        arrays = run.score(NEW.astype(dtype))
        for one, other in zip(arrays, tensors, strict=True):
            assert isinstance(one, np.ndarray)
            np.testing.assert_allclose(one, other, rtol=1e-2 if dtype == np.float16 else 1e-6)
    columns = {"note": "x", "dose": NEW[:, 1], "age": NEW[:, 0]}
    frame = pd.DataFrame(columns, index=list("abcdefghi"))
    found = run.score(frame)
    assert list(found.columns) == ["energy", "score_norm", "percentile"]
    assert list(found.index) == list("abcdefghi")
    np.testing.assert_array_equal(found.energy, tensors.energy)
    assert list(run.score(frame, percentile=False).columns) == ["energy", "score_norm"]
    np.save(tmp_path / "new.npy", NEW)
    of_file = run.score(tmp_path / "new.npy")
    assert torch.equal(of_file.percentile, tensors.percentile)
    whole = pd.DataFrame({"age": [1, 2], "dose": pd.array([3, None], dtype="Int64")})
    nan = r"row 1, column 'dose' \(counted from 0\) is nan; remove or mend it, or score a file of"
    with pytest.raises(DataError, match=nan):
        run.score(whole)
    assert len(run.score(whole[:1])) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.ones(3, 5), r"points have shape \[5\], and the events of the run \[2\]"),
        (torch.ones(0, 2), "x: the dataset has no points"),
        ("nowhere.csv", "nowhere.csv: no such file"),
        (pd.DataFrame({"age": [1.0]}), "x: has no column 'dose', .*; it has age"),
        (
            pd.DataFrame({"age": ["a"], "dose": 1.0}),
            "'age' holds no numbers; .*, or score a file",
        ),
        (pd.DataFrame([[1.0, 2.0, 3.0]], columns=["age", "dose", "dose"]), "2 columns 'dose'"),
        (
            [[0.0, 1.0], [2.0, float("inf")]],
            r"row 1, column 'dose' .* is inf; remove or mend it$",
        ),
        ([["a", "b"]], "x should be a tensor or an array of numbers"),
        (object(), "x should be a tensor or an array of numbers"),
    ],
    ids=["shape", "none", "path", "column", "words", "twice", "inf", "texts", "object"],
)
def test_wrong_points_are_refused(run, given, message):
    with pytest.raises(EbmError, match=message):
        run.score(given)


def linear():
    return torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))


def objects(x, energy=None, **options):
    def loss(energy, x):
        return energy(x).square().mean()

    experiment = Experiment(data=x, energy=energy or linear(), loss=loss, seed=1, **options)
    return experiment.run(steps=2, batch_size=20, tracking="off", progress=False)


def test_without_held_out_points_there_is_no_percentile(run):
    made = objects(torch.from_numpy(X), holdout=0.0)
    with pytest.warns(UserWarning, match=r"no points were held out \(data\.holdout\)"):
        assert made.score(torch.from_numpy(NEW)).percentile is None
    made.score(NEW)  # warns no more
    opened = ebmcore.load(made.dir, energy=linear())
    with pytest.warns(UserWarning, match="made of objects, so there are no held-out points"):
        assert opened.score(NEW).percentile is None
    with pytest.raises(EbmError, match=r"made of objects; score a tensor, not new\.npy"):
        opened.score("new.npy", percentile=False)


class Spread(Transform):
    """x + u, for whole numbers x."""

    spaces = (Categorical,)
    draws = True

    def space(self, space):
        return ebmcore.Real()

    def __call__(self, x, generator=None):
        return x + (0.5 if generator is None else torch.rand(x.shape, generator=generator))

    def inverse(self, x):
        return x.floor()

    def log_abs_det(self, x):
        return x.new_zeros(len(x))


def test_noise_of_transforms_is_left_out():
    whole = torch.randint(0, 5, (60, 2), generator=torch.Generator().manual_seed(0))
    run = objects(whole, transforms=[Spread()], space=Categorical(5), holdout=0.5)
    scores = run.score(whole)
    with torch.no_grad():
        torch.testing.assert_close(scores.energy, run.energy(whole + 0.5))
    reference = scores.energy[held_out_rows(run, 60)]
    at_most = (reference[None] <= scores.energy[:, None]).float().mean(1)
    torch.testing.assert_close(scores.percentile, 100 * at_most.double(), rtol=1e-6, atol=0)
    with pytest.raises(DataError, match=r"x: the data are declared cat.*row 1, column 0 .* is 9"):
        run.score(torch.tensor([[1, 2], [9, 2]]))


def test_discrete_points_have_no_score_norm():
    class Bits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(2))

        def forward(self, x):
            return (self.w * x).sum(1)

    bits = torch.randint(0, 2, (60, 2), generator=torch.Generator().manual_seed(0))
    run = objects(bits, Bits(), space=ebmcore.Binary())
    scores = run.score(bits)
    assert scores.score_norm is None
    assert len(scores.percentile) == 60


def test_labels_are_those_given(make_config, tmp_path):
    config, y = make_config(), np.arange(60) % 3
    np.save(tmp_path / "points.npy", np.column_stack([X, y]))
    config["plugins"]["files"].append(str(TABLE))
    config["data"] = {"type": "table", "path": str(tmp_path / "points.npy"), "label": True}
    config |= {"energy": "labelled", "loss": "fits", "sampler": None, "chains": None}
    config |= {"train": {"steps": 2, "batch_size": 20}, "monitors": []}
    run = go(config)
    scores = run.score(X, y=y)
    w = run.energy.weight.detach()
    expected = 0.5 * (w * torch.from_numpy(X) - torch.from_numpy(y)[:, None]).square().sum(1)
    np.testing.assert_allclose(scores.energy, expected, rtol=1e-5)
    assert torch.equal(run.score(tmp_path / "points.npy").energy, torch.from_numpy(scores.energy))
    assert np.array_equal(run.score(X, y=1).energy, run.score(X, y=np.ones(60, int)).energy)
    frame = pd.DataFrame(X, columns=["age", "dose"]).assign(kind=y)
    assert np.array_equal(run.score(frame, y="kind").energy, scores.energy)
    with pytest.raises(DataError, match="x: the energy is one of x and of its label y, and no"):
        run.score(X)
    with pytest.raises(DataError, match="x: x has shape"):
        run.score(X, y=y[:4])


def test_images_and_sequences_are_points_too():
    class Masked(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(()))

        def forward(self, x, mask=None):
            mask = torch.ones_like(x) if mask is None else mask
            return (self.w * x * mask).square().sum(1)

    def loss(energy, x, mask):
        return energy(x, mask=mask).mean()

    x, lengths = torch.randn(30, 4), torch.arange(30) % 4 + 1
    mask = torch.arange(4) < lengths[:, None]
    x[~mask] = torch.nan
    options = {"energy": Masked(), "loss": loss, "seed": 1}
    run = Experiment(data={"x": x, "lengths": lengths}, **options).run(
        steps=2, batch_size=10, tracking="off", progress=False
    )
    expected = (run.energy.w * x.nan_to_num()).square().sum(1).detach()
    scores = run.score(x, mask=mask)
    torch.testing.assert_close(scores.energy, expected)
    reference = expected[held_out_rows(run, 30)]
    at_most = (reference[None] <= expected[:, None]).double().mean(1)
    torch.testing.assert_close(scores.percentile, 100 * at_most)
    with pytest.raises(DataError, match=r"x: mask should say .*\(30, 4\); got \(4,\)"):
        run.score(x, mask=mask[0])

    class Halves(Transform):
        def fit(self, x, mask=None):
            pass

        def __call__(self, x):
            return x / 2 + 1

    changed = Experiment(
        data={"x": x, "lengths": lengths}, transforms=[Halves()], **{**options, "energy": Masked()}
    ).run(steps=2, batch_size=10, tracking="off", progress=False)
    expected = (changed.energy.w * (x / 2 + 1).where(mask, 0)).square().sum(1).detach()
    with pytest.warns(UserWarning, match="the data have a mask, so energies are those of"):
        torch.testing.assert_close(changed.score(x, mask=mask).energy, expected)
    images = torch.rand(30, 1, 4, 4)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1), torch.nn.Flatten(0))
    run = objects(images, net)
    with torch.no_grad():
        torch.testing.assert_close(run.score(images).energy, net(images))
    images[3, 0, 1, 2] = torch.inf
    with pytest.raises(DataError, match=r"x: row 3, index \[0, 1, 2\] \(counted from 0\) is inf"):
        run.score(images)
    with pytest.raises(DataError, match=r"x: has a mask, and the run's energy takes none"):
        run.score(torch.rand(30, 1, 4, 4), mask=torch.ones(30, 1, dtype=bool))
