import io
import pickle
import re

import numpy as np
import pytest
import torch
from ebmcore_datasets import File

from ebmcore import DataError

ROWS = np.array([[0.5, -1.25], [2.0, 3e-3], [1e6, 7.0]])
POINTS = torch.tensor(ROWS, dtype=torch.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, text):
    with open(name, "w", newline="", encoding="utf-8") as stream:
        stream.write(text)
    return name


def refused(message, *args, **keys):
    with pytest.raises(DataError) as error:
        File(*args, **keys)()
    assert re.search(message, str(error.value)), str(error.value)
    assert str(args[0]) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ending", ["npy", "npz", "csv", "pt", "pth", "NPY"])
def test_each_format_round_trips(folder, ending):
    name = f"points.{ending}"
    if ending.lower() == "npy":
        with open(name, "wb") as stream:
            np.save(stream, ROWS)
    elif ending == "npz":
        np.savez(name, x=ROWS)
    elif ending == "csv":
        np.savetxt(name, ROWS, delimiter=",")
    else:
        torch.save(torch.tensor(ROWS), name)
    x = File(name)()
    assert x.dtype == torch.float32
    assert torch.equal(x, POINTS)


def test_a_path_may_be_absolute_or_begin_at_home(folder, monkeypatch):
    np.save("points.npy", ROWS)
    monkeypatch.setenv("HOME", str(folder))
    assert torch.equal(File("~/points.npy")(), POINTS)
    assert torch.equal(File(str(folder / "points.npy"))(), POINTS)


def test_numbers_keep_the_precision_of_torchs_default(folder):
    np.save("points.npy", ROWS)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(File("points.npy")(), torch.tensor(ROWS))
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("kind", ["u1", "i8", "u4", "?", ">f8", ">i2", "f2", "f4"])
def test_floats_become_the_default_type_and_whole_numbers_stay(folder, kind):
    array = np.array([[0, 1], [1, 0], [1, 1]]).astype(kind)
    np.save("points.npy", array)
    x = File("points.npy")()
    assert x.dtype == torch.float32 or (array.dtype.kind != "f" and not x.is_floating_point())
    assert x.tolist() == [[0, 1], [1, 0], [1, 1]]


def test_a_csv_of_whole_numbers_holds_whole_numbers(folder):
    for text, kind in (("0,-1\n 1,12", torch.int64), ("0,1.0\n1,12", torch.float32)):
        x = File(write("points.csv", text))()
        assert x.dtype == kind
        assert x[1].tolist() == [1, 12]


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.int64, torch.bool, torch.float64])
def test_tensors_likewise(folder, kind):
    torch.save(torch.tensor([[0, 1], [1, 1]]).to(kind), "points.pt")
    assert File("points.pt")().tolist() == [[0, 1], [1, 1]]
    assert File("points.pt")().dtype == (torch.float32 if kind.is_floating_point else kind)


def test_columns_order_and_a_parameter_are_read_as_plain_data(folder):
    np.save("points.npy", np.asfortranarray(ROWS))
    assert torch.equal(File("points.npy")(), POINTS)
    torch.save(torch.nn.Parameter(POINTS), "points.pt")
    assert not File("points.pt")().requires_grad


def test_numbers_that_do_not_count_may_be_anything(folder):
    x, lengths = ROWS.copy(), np.array([2, 1, 2])
    x[1, 1] = np.nan
    mask = np.arange(2) < lengths[:, None]
    wanted = torch.where(torch.tensor(mask), POINTS, 0)
    np.savez("padded.npz", x=x, y=lengths, lengths=lengths)
    torch.save({"x": torch.tensor(x), "mask": torch.tensor(mask)}, "padded.pt")
    found = File("padded.npz")(), File("padded.pt")(), File("padded.npz", y_key="y")()
    assert [sorted(each) for each in found] == [
        ["lengths", "x"],
        ["mask", "x"],
        ["lengths", "x", "y"],
    ]
    assert all(torch.equal(each["x"], wanted) for each in found)
    assert found[2]["y"].tolist() == found[0]["lengths"].tolist() == [2, 1, 2]
    assert File("padded.npz", x_key="y", y_key="lengths")()[1].tolist() == [2, 1, 2]  # as labels
    x[0, 0] = np.nan
    np.savez("padded.npz", x=x, y=lengths, lengths=lengths)
    refused("padded.npz: row 0, column 0 .* of 6 numbers 1 are", "padded.npz", y_key="lengths")
    np.savez("short.npz", x=x, lengths=lengths[:2])
    refused(r"short.npz: lengths should hold one number for each event", "short.npz")


def test_nan_at_the_ends_of_events_is_left_to_the_run(folder):
    x = ROWS.copy()
    x[1, 1] = np.nan
    np.save("ends.npy", x)
    assert File("ends.npy")().isnan().sum() == 1
    x[0, 0] = np.nan  # elsewhere
    x[1, 1] = 0
    np.save("starts.npy", x)
    refused(r"starts.npy: row 0, column 0 \(counted from 0\) is nan", "starts.npy")
    write("ends.csv", "1,2\n3,nan\n5,6\n")
    refused(r"ends.csv: line 2", "ends.csv")  # a table's missing value


@pytest.mark.parametrize("packed", [list, lambda events: {"x": list(events), "y": [0, 1, 1]}])
def test_a_pt_file_may_hold_events_of_different_length(folder, packed):
    y = {} if packed is list else {"y_key": "y"}
    events = [POINTS[0], POINTS[1, :1], POINTS[2]]
    for held in (events, [event.tolist() for event in events]):
        torch.save(packed(held), "events.pt")
        for read in (File("events.pt", **y), File("events.pt", **y).read_in_parts):
            found = read()
            assert torch.equal(found["x"], torch.stack([POINTS[0], POINTS[1] * 0, POINTS[2]]).where(
                torch.tensor([[True, True], [False, True], [True, True]]), POINTS[1, 0]
            ))  # fmt: skip
            assert found["lengths"].tolist() == [2, 1, 2]
            assert ("y" in found) == bool(y)
    torch.save(packed([POINTS, POINTS[:2, :1]]), "apart.pt")
    refused(
        r"apart.pt \[x\]: event 1 .* has steps of shape \[1\], and event 0 of \[2\]", "apart.pt"
    )
    np.savez("objects.npz", x=np.array([POINTS[0].numpy(), np.zeros(1)], dtype=object))
    refused("different length go into one array, filled up, with an array `lengths`", "objects.npz")


def test_names_and_labels(folder):
    y = np.array([2.0, 0.0, 1.0])
    np.savez("points.npz", points=ROWS, digit=y)
    torch.save({"points": POINTS, "digit": torch.tensor(y)}, "points.pt")
    for name in ("points.npz", "points.pt"):
        x, labels = File(name, x_key="points", y_key="digit")()
        assert torch.equal(x, POINTS)
        assert labels.dtype == torch.int64
        assert labels.tolist() == [2, 0, 1]
        refused(r"has no array 'x' \(x_key\); it holds 'points', 'digit'", name)
        refused(r"no array 'z' \(y_key\); it holds", name, x_key="points", y_key="z")
        refused(r"row 0 is 0\.5|one label for each of 3 rows", name, x_key="points", y_key="points")
    np.savez("short.npz", x=ROWS, y=y[:2])
    refused(r"\[y\] should hold one label for each of 3 rows.*got \(2,\)", "short.npz", y_key="y")
    np.savez("half.npz", x=ROWS, y=y / 2)
    refused(r"\[y\]: labels should be whole numbers; row 2 is 0\.5", "half.npz", y_key="y")
    np.save("points.npy", ROWS)
    refused("holds one unnamed array, without labels: drop y_key", "points.npy", y_key="y")


def test_shape_reshapes_each_row(folder):
    np.save("points.npy", np.arange(24).reshape(2, 12))
    x = File("points.npy", shape=[1, 3, 4])()
    assert x.shape == (2, 1, 3, 4)
    assert x[1].flatten().tolist() == list(range(12, 24))
    refused(r"shape \(12,\), 12 numbers; shape \[3, 5\] would need 15", "points.npy", shape=[3, 5])


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("0.5,-1.25\n2,3e-3\n1e6,7\n", {}),
        ("a,b\n0.5,-1.25\n2,3e-3\n1e6,7", {}),
        ("a,b\r\n0.5,-1.25\r\n2,3e-3\r\n1e6,7\r\n", {}),
        ("1,2\n0.5,-1.25\n2,3e-3\n1e6,7\n", {"header": True}),
        ("0.5,-1.25\n2,3e-3\n1e6,7\n", {"header": False}),
        ("\n0.5; -1.25\n\n2;3e-3\n1e6 ;7\n\n", {"delimiter": ";"}),
        ("0.5\t-1.25\n2\t3e-3\n1e6\t7\n", {"delimiter": "\t"}),
        ('\ufeff"x, in mm",y\n"0.5",-1.25\n2,3e-3\n1e6,7\n', {}),
    ],
)
def test_ways_to_write_a_csv(folder, text, keys):
    assert torch.equal(File(write("points.csv", text), **keys)(), POINTS)


@pytest.mark.parametrize(
    ("text", "keys", "message"),
    [
        ("a,b\n1,2\n3\n", {}, r"line 3 has 1 columns, but line 1 has 2"),
        ("1,2\n\n3,4,5\n", {}, r"line 3 has 3 columns, but line 1 has 2"),
        ("a,b\n1,2\n\n3,four\n", {}, r"line 4, column 2 .* should be a number; got 'four'"),
        ("1,b\n1,2\n", {}, r"line 1, column 2 .*; got 'b'"),
        ("a,b\n1,2\n", {"header": False}, r"line 1, column 1 .*; got 'a'"),
        ("1,2\n3,\n", {}, r"line 2, column 2 .*; got an empty cell"),
        ("1,2\n1_0,2\n", {}, r"line 2, column 1 .*; got '1_0'"),
        ("1;2\n3;4\n", {"header": False}, r"line 1, column 1 .*; got '1;2'"),
        ("a,b\n1,2\n\n3,nan\ninf,nan\n", {},
         r"line 4, column 2 'b' \(counted from 1; row 1 from 0\) is nan; of 6 numbers 2 are"),
        ("1,1e60\n", {}, r"line 1, column 2 .* is 1e\+60, too large for float32"),
        ("a,b\n", {}, r"has no rows below its header"),
        ("\n\n", {}, r"has no rows$"),
        ('1,2\n"3,4\n', {}, r"line 2: unexpected end of data"),
    ],
)  # fmt: skip
def test_what_a_csv_is_refused_for(folder, text, keys, message):
    refused(message, write("points.csv", text), **keys)


def test_a_csv_of_other_bytes(folder):
    (folder / "points.csv").write_bytes(b"1,2\n\xff\xfe\x00,3\n")
    refused("is not UTF-8 text", "points.csv")


def test_files_that_are_not_there(folder):
    np.save("points.npy", ROWS)
    refused(r"^no such file: point\.npy\. Did you mean points\.npy\?$", "point.npy")
    refused(r"^no such file: zzz\.csv$", "zzz.csv")
    refused(r"^no such file: .* \(nor is there a folder there\)$", "there/points.npy")
    (folder / "images").mkdir()
    refused("images is a folder; path should name a file in it", "images")
    (folder / "images.npy").mkdir()
    refused(r"images\.npy is a folder", "images.npy")


@pytest.mark.parametrize("ending", ["npy", "npz", "csv", "pt"])
def test_empty_and_damaged_files(folder, ending):
    name = f"points.{ending}"
    open(name, "w").close()
    refused(r"is empty: 0 bytes$", name)
    with open(name, "wb") as stream:
        stream.write(b"\x00\x01 garbage\n" * 20)
    refused("is not a .*file|should be a number", name)


def test_a_truncated_file(folder):
    np.save("points.npy", np.zeros((100, 2)))
    np.savez("points.npz", x=np.zeros((100, 2)))
    torch.save(torch.zeros(100, 2), "points.pt")
    for name in ("points.npy", "points.npz", "points.pt"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:300])
        refused("damaged|is not", name)


def test_a_damaged_compressed_archive(folder):
    np.savez_compressed("points.npz", x=np.arange(2000.0))
    damaged = bytearray((folder / "points.npz").read_bytes())
    damaged[200:260] = b"\xff" * 60
    (folder / "points.npz").write_bytes(damaged)
    refused(r"\[x\] is damaged", "points.npz")


def test_an_unknown_ending(folder):
    write("points.xlsx", "1,2")
    supported = (
        r"supported: \.csv, \.tsv, \.parquet, \.npy, \.npz, \.pt, \.pth, each also with \.gz$"
    )
    refused(rf"ending '\.xlsx' is not known; {supported}", "points.xlsx")


def test_what_is_not_finite_is_named(folder):
    bad = ROWS.copy()
    bad[1, 0] = np.inf
    bad[2, 0] = np.nan
    np.save("points.npy", bad)
    refused(r"row 1, column 0 \(counted from 0\) is inf; of 6 numbers 2 are not", "points.npy")
    np.save("points.npy", bad[:, 0])
    refused(r"points\.npy: row 1 \(counted from 0\) is inf; of 3 numbers 2", "points.npy")
    np.save("points.npy", bad.reshape(3, 1, 2))
    refused(r"row 1, element \[0, 0\] \(counted from 0\) is inf", "points.npy")


def test_arrays_of_no_rows(folder):
    np.save("points.npy", np.array(3.0))
    refused("holds a single number", "points.npy")
    for shape in ((0,), (0, 2), (3, 0)):
        np.save("points.npy", np.zeros(shape))
        refused(r"has no numbers: shape \(", "points.npy")


def test_other_contents_are_refused(folder):
    for array, kind in ((np.array(["a"]), "<U1"), (np.array([1j]), "complex128")):
        np.save("points.npy", array)
        refused(f"should hold real numbers; its type is {kind}", "points.npy")
    torch.save([1, 2], "points.pt")
    refused("should hold a tensor; it holds a list", "points.pt")
    torch.save(torch.zeros(2, dtype=torch.complex64), "points.pt")
    refused("dense tensor of real numbers", "points.pt")
    torch.save(torch.eye(3).to_sparse(), "points.pt")
    refused("dense tensor of real numbers", "points.pt")


class Harm:
    """Unpickled, it writes a file."""

    def __reduce__(self):
        return (open, ("harm", "w"))


def test_nothing_is_unpickled(folder):
    objects = np.array([[Harm()]], dtype=object)
    np.save("points.npy", objects, allow_pickle=True)
    np.savez("points.npz", x=objects)
    torch.save(Harm(), "points.pt")
    (folder / "plain.npy").write_bytes(pickle.dumps(Harm()))
    for name in ("points.npy", "points.npz", "points.pt", "plain.npy"):
        refused("holds pickled objects, which could run code; save it as a plain", name)
    assert not (folder / "harm").exists()
    buffer = io.BytesIO()
    np.save(buffer, ROWS)
    (folder / "sound.npy").write_bytes(buffer.getvalue())
    assert torch.equal(File("sound.npy")(), POINTS)


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n"])
def test_a_delimiter_is_one_character(delimiter):
    with pytest.raises(ValueError, match="delimiter should be one character"):
        File("points.csv", delimiter=delimiter)
