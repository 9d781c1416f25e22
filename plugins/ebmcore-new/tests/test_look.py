"""A look at data: which kind they are, and which keys read them."""

from pathlib import Path

import numpy as np
import pytest
from ebmcore_new.look.data import look
from PIL import Image

RNG = np.random.default_rng(0)


def keys(seen):
    return {name: value for name, value, _ in seen.keys}


def table(header, *columns):
    rows = zip(*columns, strict=True)
    Path("t.csv").write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return look(Path("t.csv"))


N = 40
X = RNG.normal(size=(4, N)).round(4)


def test_columns_of_a_table_get_their_roles():
    seen = table(
        "id,when,name,a,b,c,d,gap,none,same,sex,is_fraud",
        range(N), ["2020-01-02"] * N, [f"n{i}" for i in range(N)], *X,
        [i % 7 if i % 3 else "" for i in range(N)], [""] * N, [7] * N,
        [("f", "m")[i % 2] for i in range(N)], [int(i < 4) for i in range(N)],
    )  # fmt: skip
    assert seen.kind == "table"
    assert seen.event == (5,)
    assert keys(seen) == {
        "type": "file",
        "path": "t.csv",
        "id": "id",
        "label": "is_fraud",
        "drop": "[when, name, none, same, sex]",
        "impute": "median",
    }
    assert seen.labels == 2
    assert "sex holds 2 different texts" in seen.decide[0]
    assert "10.0% of the rows have the label 1" in seen.decide[1]


@pytest.mark.parametrize(
    ("header", "columns", "expected"),
    [
        (",a,b", (range(N), *X[:2]), {"index": "0"}),
        ("n,a,b", (range(5, 5 + N), *X[:2]), {"index": "n"}),
        ("patient,a,b", ([f"P{i}" for i in range(N)], *X[:2]), {"id": "patient"}),
        ("a,b,class", (*X[:2], [f"k{i % 3}" for i in range(N)]), {"label": "class"}),
        ("a,b,true", (*X[:2], X[2]), {}),
        ("1,2", tuple(X[:2]), {}),
        ('"a: b",b', (["x"] * N, X[0]), {"drop": '["a: b"]'}),
    ],
)
def test_one_role_at_a_time(header, columns, expected):
    seen = table(header, *columns)
    assert {k: v for k, v in keys(seen).items() if k not in ("type", "path")} == expected
    assert seen.kind == "points"


def test_far_values_lead_to_ranks():
    far = np.exp(3 * X[0])
    assert table("a,b,c,d", *X[1:], X[0]).transforms == ("{type: standardise}",)
    seen = table("a,b,c,d", *X[1:], far)
    assert seen.transforms == ("{type: rank_gaussian}",)
    assert "d has a few far values" in seen.why_transforms


WAVES = np.sin(np.linspace(0, 6, 24) + RNG.uniform(0, 6, (N, 1)))
RAGGED = (
    np.where(np.arange(12) < RNG.integers(3, 13, (N, 1)), 1.0, np.nan)[..., None]
    * WAVES[:, :12, None]
)


@pytest.mark.parametrize(
    ("array", "kind", "event", "more"),
    [
        (X.T, "table", (4,), {}),
        (X[:2].T, "points", (2,), {}),
        (X[0], "points", (1,), {}),
        (WAVES, "sequences", (24,), {}),
        (RNG.normal(size=(N, 24, 3)), "sequences", (24, 3), {}),
        (RAGGED, "sequences", (12, 1), {}),
        (RNG.normal(size=(N, 12, 12)), "images", (1, 12, 12), {"shape": "[1, 12, 12]"}),
        (RNG.normal(size=(N, 3, 9, 9)), "images", (3, 9, 9), {}),
        (RNG.normal(size=(N, 9, 9, 1)), "images", (1, 9, 9), {"shape": "[1, 9, 9]"}),
        (RNG.integers(0, 255, (N, 64), np.uint8), "images", (1, 8, 8),
         {"shape": "[1, 8, 8]", "space": "real"}),
        (RNG.integers(0, 2, (N, 9)), "bits", (9,), {"space": "binary"}),
        (RNG.integers(0, 2, (N, 3, 3)).astype(bool), "bits", (3, 3), {"space": "binary"}),
        (RNG.integers(0, 4, (N, 6)), "categories", (6,),
         {"space": "{type: categorical, k: 4}"}),
        (RNG.integers(0, 400, (N, 6)), "table", (6,), {"space": "real"}),
        (np.column_stack([*X, np.full(N, 3.0)]), "table", (4,), {"drop": "[4]"}),
        (np.where(RNG.random((N, 4)) < 0.1, np.nan, X.T), "table", (4,), {"impute": "median"}),
    ],
    ids=[
        *("rows", "plane", "line", "waves", "channels", "ragged", "square", "rgb", "last"),
        *("bytes", "bits", "pixels", "tokens", "counts", "constant", "gaps"),
    ],
)  # fmt: skip
def test_arrays_are_told_apart(array, kind, event, more):
    np.save("a.npy", array)
    seen = look(Path("a.npy"))
    assert (seen.kind, seen.event, seen.rows) == (kind, event, N)
    assert {k: v for k, v in keys(seen).items() if k not in ("type", "path")} == more
    assert seen.ragged == (array is RAGGED)


def test_a_folder_of_images():
    for name, size in (("a", (40, 48)), ("b", (64, 50))):
        for i in range(6):
            levels = RNG.integers(0, 255, (*size, 3 if i else 4), np.uint8)
            Path("photos", name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(levels).save(f"photos/{name}/{i}.png")
    seen = look(Path("photos"))
    assert (seen.kind, seen.event, seen.rows, seen.labels) == ("images", (3, 32, 32), 12, 2)
    assert keys(seen) == {
        "type": "images",
        "path": "photos",
        "size": "32",
        "colour": "rgb",
        "background": "255",
        "labels": "folders",
        "stratify": "true",
    }
    assert "from 40×48 to 50×64" in seen.keys[2].why
