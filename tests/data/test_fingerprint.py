"""The fingerprint of rows: the same whoever read them, and other for other rows."""

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

import ebmcore.data.parts
from ebmcore import DataError
from ebmcore.config import Loader
from ebmcore.data.fingerprint import Fingerprint
from ebmcore.data.load import load_data
from ebmcore.data.streamed import stream_data

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))


def load(source, known=None, holdout=0.25, dtype=torch.float32, read=load_data, **options):
    seed = torch.Generator().manual_seed(1)
    return read(source, holdout=holdout, generator=seed, dtype=dtype, known=known, **options)


def hash_of(source):
    return load(source).fingerprint.hash


def test_any_reader_gives_the_same_hash(monkeypatch):
    first = hash_of(X)
    sliced = torch.cat([X, X], 1)[:, :3].t().contiguous().t()
    for same in (X.double(), X.numpy(), X.tolist(), sliced, TensorDataset(X), lambda: X):
        assert hash_of(same) == first
    monkeypatch.setattr(ebmcore.data.parts, "AT_ONCE", 7)  # a few rows at a time
    assert hash_of(X) == first
    swapped = X[[1, 0, *range(2, 40)]]
    changed = X.clone()
    changed[39, 2] += 1e-6
    y, mask = torch.arange(40), {"mask": torch.ones(40, 3, dtype=bool)}
    assert len({hash_of(one) for one in (X, swapped, changed, {"x": X, **mask})}) == 4
    assert hash_of((X, y)) == first
    labelled = [load((X, y.to(t))).fingerprint.labels for t in (torch.int64, torch.uint8)]
    assert labelled[0] == labelled[1] != load((X, y.flip(0))).fingerprint.labels


def test_it_is_recorded_and_read_again():
    for holdout in (0.25, 0.0):
        then = load(X, holdout=holdout).fingerprint
        again = Fingerprint.read(then.written(), then.bits() if holdout else b"")
        assert again.changes(then) == then.changes(again) == []
        assert torch.equal(again.held_out, then.held_out)
    then = load(X).fingerprint
    assert len(then.bits()) == 5
    with pytest.raises(ValueError, match="held-out rows aren't those"):
        Fingerprint.read(then.written(), bytes(5))
    with pytest.raises(ValueError, match=r"held-out rows aren't|too small|count"):
        Fingerprint.read(then.written(), then.bits()[:2])

    for rows in (0, 10**18, "many"):
        with pytest.raises(ValueError, match=r"number of rows|invalid literal"):
            Fingerprint.read({**then.written(), "rows": rows}, then.bits())


class Named(TensorDataset):
    columns = ("age", "dose", "sex")


def test_changes_are_named():
    then = load(Named(X)).fingerprint

    def changes(source, **named):
        source = Named(*source) if isinstance(source, tuple) else Named(source)
        source.columns = named.get("columns", Named.columns)
        return load(source).fingerprint.changes(then)

    assert changes(X) == []
    assert changes(X + 1) == ["other numbers or another order of rows"]
    assert changes(X[:30]) == ["30 rows, and it had 40"]
    assert changes(X[:, :2], columns=("age", "sex")) == [
        "events of shape [2], not [3]",
        "other columns (no 'dose')",
    ]
    assert changes(X, columns=("dose", "age", "sex")) == ["the same columns in another order"]
    assert changes((X, torch.arange(40))) == ["labels, and it had none"]


@pytest.mark.parametrize("read", ["memory", "stream"])
def test_held_out_rows_stay_those_that_were(read):
    if read == "stream":
        options = {"read": stream_data, "loader": Loader(workers=0, prefetch=2), "seed": 0}
    else:
        options = {}

    def computed(x):
        return lambda: TensorDataset(x)

    then = load(computed(X), **options)
    assert then.changes == ()
    more = torch.cat([X, torch.full((25, 3), 9.0)])
    again = load(computed(more), then.fingerprint, **options)
    for name in ("x", "held_out", "bounds"):
        assert torch.equal(getattr(again, name), getattr(then, name))
    assert again.n == then.n
    assert again.changes == (
        "25 rows were appended to the data since the run began; they are left out, and the "
        "held-out rows are those that it held out",
    )
    other = torch.cat([X[:-1], X[:1]])
    (warned,) = load(computed(other), then.fingerprint, **options).changes
    assert warned.endswith("other numbers or another order of rows")
    of_a_file = computed(other)
    of_a_file.path = "points.npy"
    bad = {of_a_file: "other numbers", TensorDataset(other): "other numbers"}
    for one, why in {**bad, computed(X[:9]): "9 rows, and it had 40"}.items():
        with pytest.raises(DataError, match=rf"any more: {why}.*rows that it held out can't"):
            load(one, then.fingerprint, **options)


def test_rows_as_numpy_arrays_of_other_types():
    whole = np.arange(12).reshape(4, 3)
    hashes = {hash_of(whole.astype(t)) for t in (np.uint8, np.int64, np.float64, np.float16)}
    assert len(hashes) == 1
