"""Tables: which columns are events, labels, ids; what nobody decided; new points like the old."""

import gzip
import re

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import torch
from ebmcore_datasets import File

from ebmcore import Categorical, DataError, Mixed, Real

FLOWERS = """\
,name,length,width,wet,species
0,a7,5.1,3.5,True,setosa
1,a8,4.9,,False,virginica
2,a9,6.25,3.25,False,setosa
3,b1,7,NA,True,versicolor
"""
KEYS = {"index": 0, "id": "name", "label": "species", "impute": "mean"}
X = [[5.1, 3.5, 1], [4.9, 3.375, 0], [6.25, 3.25, 0], [7, 3.375, 1]]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, text=FLOWERS):
    opened = gzip.open if name.endswith(".gz") else open
    with opened(name, "wt", newline="", encoding="utf-8") as stream:
        stream.write(text)
    return name


def written(kind):
    """Write the flowers as a file of some kind; return its name."""
    name = f"flowers.{kind}"
    if kind.startswith("tsv"):
        return write(name, FLOWERS.replace(",", "\t"))
    if kind.startswith("csv"):
        return write(name)
    types = {"name": pa.string(), "species": pa.dictionary(pa.int32(), pa.string())}
    options = pyarrow.csv.ConvertOptions(
        column_types=types, null_values=["", "NA"], strings_can_be_null=False
    )
    table = pyarrow.csv.read_csv(write("f.csv"), convert_options=options)
    pyarrow.parquet.write_table(table, "flowers.parquet", row_group_size=2)
    if kind.endswith("gz"):
        with open("flowers.parquet", "rb") as plain, gzip.open(name, "wb") as packed:
            packed.write(plain.read())
    return name


def refused(message, file):
    with pytest.raises(DataError) as error:
        file()
    assert re.search(message, str(error.value)), str(error.value)
    assert str(file.path) in str(error.value)


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "tsv", "tsv.gz", "parquet", "parquet.gz"])
def test_columns_have_the_roles_that_keys_name(kind):
    file = File(written(kind), **KEYS)
    x, y = file()
    torch.testing.assert_close(x, torch.tensor(X), rtol=0, atol=0)
    assert file.columns == ("length", "width", "wet")
    assert list(file.ids) == ["a7", "a8", "a9", "b1"]
    assert y.tolist() == [0, 2, 0, 1]
    assert file.classes == ("setosa", "versicolor", "virginica")
    assert "numbered 0 'setosa', 1 'versicolor', 2 'virginica'" in file.warnings[0]
    assert file.fill == pytest.approx((5.8125, 3.375, 0.5))
    rows, labels = file.read_in_parts()
    assert torch.equal(rows.at(torch.tensor([2, 0])), x[[2, 0]])
    assert torch.equal(rows[1::2], x[1::2])
    assert torch.equal(labels, y)
    kept = File(file.path, columns=["width", -4], impute=0, label=5)
    assert torch.equal(kept()[0], torch.tensor([[3.5, 5.1], [0, 4.9], [3.25, 6.25], [0, 7]]))
    assert kept.columns == ("width", "length")


@pytest.mark.parametrize(
    ("name", "array"),
    [("rows.npy", "C"), ("rows.npz", "C"), ("rows.pt", "F"), ("rows.npy.gz", "C")],
)
def test_columns_of_arrays_are_named_by_numbers(name, array):
    rows = np.array([[0, 2.5, np.nan, 7], [1, 3.5, 2, 8], [2, 6, 4, 7]], order=array)
    plain = name.removesuffix(".gz")
    if name.endswith("npz"):
        np.savez(name, x=rows, y=np.array([4, 5, 6]))
    elif name.endswith("pt"):
        torch.save({"x": torch.tensor(rows), "y": torch.tensor([4, 5, 6])}, name)
    else:
        np.save(plain, rows)
    if name.endswith("gz"):
        with gzip.open(name, "wb") as packed, open(plain, "rb") as stream:
            packed.write(stream.read())
    file = File(name, index=0, label=-1, impute="median")
    x, y = file()
    assert x.tolist() == [[2.5, 3], [3.5, 2], [6, 4]]
    assert y.tolist() == [7, 8, 7]
    assert file.columns is None
    if name.endswith((".npz", ".pt")):
        assert File(name, columns=[3], label="y", id="y")()[1].tolist() == [4, 5, 6]
    np.save("new.npy", rows[:, 1:3])
    assert file.like("new.npy")().tolist() == x.tolist()
    np.save("new.npy", rows)
    assert file.like("new.npy")()[1].tolist() == [7, 8, 7]
    np.save("new.npy", rows[:, :3])
    refused(
        "has 3 columns, and the training file .* has 4, or the 2 of events", file.like("new.npy")
    )
    np.save("deep.npy", np.zeros((2, 3, 4)))
    refused(r"for rows of columns, .* here it is \(2, 3, 4\)", File("deep.npy", drop=[0]))


UNDECIDED = "a,b,target\n1,.5,0\n2,.25,1\n3,.75,1\n4,0,1\n"


@pytest.mark.parametrize(
    ("text", "decided", "message"),
    [
        (",b\n1,.5\n3,.25\n", {"index": 0},
         r"column 0 .* has no name: is it .* index: 0, or .* \[0, b\]"),
        ("Unnamed: 0,b\n1,.5\n3,.25\n", {"drop": [0]}, "is called 'Unnamed: 0': is it an index"),
        ("b,n\n.5,7\n.5,8\n.2,9", {"index": "n"},
         r"'n' counts the rows, .* index: n, or .* \[b, n\]"),
        (".5,7\n.5,8\n.2,9", {"index": 1},
         r"column 1 \(counted from 0\) counts the rows, .* index: 1, or"),
        ("b,target\n.5,0\n1,1\n", {"label": "target"},
         r"'target' holds 2 different values \(0, 1\): .* label: target, .* drop: \[target\], or"),
        ("b,Class\n.5,3\n1,3\n.5,7", {"drop": ["Class"]}, r"'Class' holds 2 .* \(3, 7\)"),
        ("b,is_bad\n.5,True\n1,False\n", {"label": "is_bad"}, r"'is_bad' holds 2 .* \(0, 1\)"),
        ("b,Fault\n.5,0\n1,1\n", {"label": "Fault"}, r"'Fault' holds 2 .* \(0, 1\)"),
        ("b,outlier\n.5,0.5\n1,-.5\n", {"drop": [1]}, r"'outlier' holds 2 .* \(-0.5, 0.5\)"),
    ],
)  # fmt: skip
def test_columns_that_nobody_decided_on_are_refused(text, decided, message):
    refused(message, File(write("t.csv", text)))
    found = File("t.csv", **decided)()
    x = found[0] if isinstance(found, tuple) else found
    assert x.shape[1] == 1
    assert File("t.csv", columns=[0, 1])().shape[1] == 2


def test_columns_of_many_values_or_few_rows_are_events():
    assert File(write("t.csv", "x,y\n.5,1.5\n1,2.5\n.25,3"))().shape == (3, 2)
    many = "x,y\n" + "".join(f".5,{(7 * n) % 23}\n" for n in range(23))
    assert File(write("t.csv", many))().shape == (23, 2)
    assert File(write("t.csv", "n\n1\n2\n3\n"))().shape == (3, 1)
    assert File(write("t.csv", "a,b\n1,.5\n2,.5\n"))().shape == (2, 2)


def test_labels_are_whole_numbers_or_words():
    numbers = File(write("t.csv", "a,class\n.5,3\n1,7.0\n2,+3\n"), label="class")
    assert numbers()[1].tolist() == [3, 7, 3]
    assert numbers.classes is None
    assert numbers.warnings == ()
    new = numbers.like(write("new.csv", "a,class\n.5,9\n"))
    assert new()[1].tolist() == [9]
    refused(
        "line 2, column 2 'class' .* holds the label 'x', and the training file has whole numbers",
        numbers.like(write("new.csv", "a,class\n.5,x\n")),
    )
    truths = File(write("t.csv", "a,b\n.5,True\n1,false\n"), label="b")
    assert truths()[1].tolist() == [1, 0]
    refused(
        r"line 3, column 2 'b' .* is 0\.5, and labels should be whole numbers or words",
        File(write("t.csv", "a,b\n1,1\n2,0.5\n"), label="b"),
    )
    refused(
        r"line 2, column 2 'b' .* is missing, and holds the label",
        File(write("t.csv", "a,b\n1,?\n2,1\n"), label="b"),
    )


def test_categories_become_whole_numbers_in_a_space_of_their_own():
    text = "size,colour,n\n.5,red,10\n2,blue,9\n1,red,2\n"
    file = File(write("t.csv", text), categories=["colour", "n"])
    assert file().tolist() == [[0.5, 1, 2], [2, 0, 1], [1, 1, 0]]
    assert file.space == Mixed((Real(), Categorical(2), Categorical(3)))
    new = file.like(write("new.csv", "n,colour,size\n2,blue,7\n"))
    assert new().tolist() == [[7, 0, 0]]
    assert new.space == file.space
    refused(
        "line 2, column 2 'colour' .* holds the category 'green', and the training file has "
        "'blue', 'red'",
        file.like(write("new.csv", "n,colour,size\n2,green,7\n")),
    )
    one = File(write("t.csv", "a,b\n.5,red\n1,red\n"), categories=["b"])
    refused("column 'b' holds one category, 'red': leave it out", one)
    refused(
        "line 3, column 2 'b' .* is missing, and a category can't be imputed",
        File(write("t.csv", "a,b\n.5,red\n1,\n"), categories=["b"], impute=0),
    )


def test_missing_numbers_are_filled_or_refused():
    text = "a,b\n1,2\n,4\nnan,9\n5,-\n"
    refused(
        r"line 3, column 1 'a' \(counted from 1; row 1 from 0\) should be a number; got an empty "
        r"cell; of 8 numbers 3 are missing, in columns a \(2\), b \(1\)\. .* set impute: mean",
        File(write("t.csv", text)),
    )
    for how, (a, b) in (("mean", (3, 5)), ("median", (3, 4)), (0, (0, 0)), (0.5, (0.5, 0.5))):
        file = File("t.csv", impute=how)
        assert file().tolist() == [[1, 2], [a, 4], [a, 9], [5, b]]
        new = file.like(write("new.csv", "b,a\n,1\n3,\n"))
        assert new().tolist() == [[1, b], [a, 3]]
    assert File("t.csv", impute="mean")().dtype == torch.int64  # both means are whole
    refused(
        "column 'b' has no number at all", File(write("t.csv", "a,b\n1,\n.5,\n"), impute="mean")
    )
    assert File("t.csv", impute=2)().tolist() == [[1, 2], [0.5, 2]]
    with pytest.raises(ValueError, match="impute should be mean, median or a finite number"):
        File("t.csv", impute=float("inf"))


def test_new_points_are_read_as_the_training_file_was():
    file = File(write("t.csv"), **KEYS)
    file()
    new = file.like(write("new.csv", "wet,width,place,length\nFalse,3,x,5\n1,,y,6\n"))
    for _ in range(2):
        assert new().tolist() == [[5, 3, 0], [6, 3.375, 1]]
        assert new.columns == file.columns
        assert new.ids is None
        assert new.warnings == ("new.csv: ignored 'place', which the training file doesn't have",)
    new = File("t.csv", **KEYS).like(write("new.csv", FLOWERS.split("\n2")[0]))  # nothing was read
    x, y = new()
    assert torch.equal(x, torch.tensor(X[:2]))
    assert y.tolist() == [0, 2]
    assert list(new.ids) == ["a7", "a8"]
    refused(
        r"has no column 'length', which the training file t\.csv has; it has 'lenght', 'width', "
        r"'wet'\. Did you write 'lenght' for 'length'\?",
        file.like(write("new.csv", "lenght,width,wet\n1,2,1\n")),
    )
    refused(
        "holds the label 'tulip', and the training file has 'setosa', 'versicolor', 'virginica'",
        file.like(write("new.csv", "length,width,wet,species\n1,2,1,tulip\n")),
    )
    assert file.like(write("new.csv", "5,3,1\n6,2,0\n"))().tolist() == [[5, 3, 1], [6, 2, 0]]
    np.save("new.npy", np.array([[5, np.nan, 1.0]]))
    assert file.like("new.npy")().tolist() == [[5, 3.375, 1]]
    assert file.like("new.npy").like("t.csv")()[1].tolist() == [0, 2, 0, 1]


def test_new_points_may_have_labels_of_their_own():
    file = File(write("t.csv", "a,b\n.5,1.5\n2,1\n"))
    for name, text, label in (
        ("n.csv", "odd,b,site,a\n1,3,7,2\n0,5,8,4\n", "odd"),
        ("n.csv", "2,3,1\n4,5,0\n", 2),
    ):
        new = file.like(write(name, text), label=label)
        x, y = new()
        assert (x.tolist(), y.tolist()) == ([[2, 3], [4, 5]], [1, 0])
    rows = np.array([[1.0, 2, 3], [0, 4, 5]])
    np.save("n.npy", rows)
    np.savez("n.npz", x=rows[:, 1:], odd=rows[:, 0])
    for name, label in (("n.npy", 0), ("n.npz", "odd")):
        x, y = file.like(name, label=label)()
        assert (x.tolist(), y.tolist()) == ([[2, 3], [4, 5]], [1, 0])
    refused("has no array 'od' .label.; it holds 'x', 'odd'", file.like("n.npz", label="od"))
    refused("label names column 'a', which is part of events", file.like("t.csv", label="a"))
    named = file.like(write("n.csv", "odd,b,site,a\n1,3,7,2\n"), label="odd")
    named()
    assert named.warnings == ("n.csv: ignored 'site', which the training file doesn't have",)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"drop": ["nane"]}, r"no column 'nane' \(drop\); it has .*'name'.*Did you mean 'name'\?"),
        ({"label": "Species"}, r"no column 'Species' \(label\).* Did you mean 'species'\?"),
        ({"columns": [6]}, "has 6 columns, and columns names number 6, counted from 0"),
        ({"columns": ["name", 1]}, "column 'name' is named by columns, twice"),
        ({"label": "name", "id": "name"}, "column 'name' is named by label and id"),
        ({"columns": ["length"], "categories": ["wet"]}, "'wet' is named by categories, and is"),
        ({"drop": list(range(6))}, "no column is left for events: the keys take all 6"),
        ({"y_key": "species"}, "is a table, and y_key names an array: name .* with label"),
        ({"header": False, "drop": ["name"]}, "drop names column 'name', but .* have no names"),
    ],
)
def test_keys_that_do_not_fit_are_refused(keys, message):
    refused(message, File(write("t.csv"), **keys))


def test_labels_are_named_once():
    with pytest.raises(ValueError, match="label and y_key both name the labels"):
        File("t.npz", label="y", y_key="y")
