"""Malformed files of all kinds: each is refused by one line that says where, and leaves nothing."""

import gzip
import io
import pickle
import re
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from ebmcore_datasets import File

from ebmcore import DataError


def parquet(**columns):
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), stream)
    return stream.getvalue()


def npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, np.array(array, **options), allow_pickle=True)
    return stream.getvalue()


def npz(save=np.savez, **arrays):
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def pt(value):
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def huge_header():
    text = str({"descr": "<f8", "fortran_order": False, "shape": (10**12, 9)}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n" + bytes(72)


def zip_of(name, content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def wide_rows():
    return b"a,b\n" + b"1.5,2\n" * 4_000 + b'3,"4\n'


TABLE = b"a,b\n1,.5\n3,.25\n"
PARQUET = parquet(a=[1.0, 2.0], b=[0.5, 0.25])
ROWS = np.arange(2000.0)[:, None] / 7
HALF_NPZ = npz(np.savez_compressed, x=ROWS)
AT = r"\(counted from 1; row \d+ from 0\)"
FILES = {
    # tables of text
    "empty.csv": (b"", "is empty: 0 bytes"),
    "blank.csv": (b"\n \n\n", "has no rows"),
    "header only.csv": (b"a,b\r\n", "has no rows below its header"),
    "only bom.csv": (b"\xef\xbb\xbf", "has no rows"),
    "short row.csv": (b"a,b\n1,2\n3\n", "line 3 has 1 columns, but line 1 has 2"),
    "long row.csv": (b"a,b\n\n1,2\n3,4,5\n", "line 4 has 3 columns, but line 1 has 2"),
    "trailing comma.csv": (b"a,b\n1,2,\n3,4,\n", "line 2 has 3 columns, but line 1 has 2"),
    "trailing commas.csv": (b"a,b,\n1,2,\n3,4,\n", "column 2 .* has no name"),
    "after newline in quotes.csv": (b'"a\nb",c\n1,2\n3,x\n', f"line 4, column 2 'c' {AT} .* 'x'"),
    "open quote.csv": (b'1,2\n"3,4\n', "line 2: unexpected end of data"),
    "late open quote.csv": (wide_rows(), "line 4002: (unexpected end of data|field larger)"),
    "text after quote.csv": (b'a,b\n1,"2"x\n', r"line 2, column 2 'b' .* got '2x'|line 2: "),
    "word.csv": (b"a,b\n1,2\n3,4\n5,x7\n6,7", f"line 4, column 2 'b' {AT} .* got 'x7'$"),
    "words.csv": (
        b"a,b\n1,red\n3,blue\n",
        r"got 'red'\. .* text: .*drop: \[b\].* .categories: \[b\],",
    ),
    "word columns.csv": (b"a,b,c\n1,p,q\n2,r,s", "got 'p'.* The same holds for column 'c'"),
    "word labels.csv": (b"a,class\n1,p\n2,q", "got 'p'.* take it as labels .label: class."),
    "dates.csv": (b"t,b\n2024-01-02,1\n2024-01-03,2", "line 2, column 1 't' .* Dates and times"),
    "times.csv": (b"t,b\n12:30,1\n12:31:05,2", "got '12:30'. Dates and times aren't read: leave"),
    "decimal commas.csv": (b'a,b\n"1,5",2\n', "got '1,5'. Decimal commas aren't read: write 1.5"),
    "thousands.csv": (b'a,b\n"1,234",2\n', "got '1,234'. Separators of thousands aren't read"),
    "units.csv": (b"a,b\n5kg,1\n6kg,2\n", "line 2, column 1 'a' .* got '5kg'"),
    "percent.csv": (b"a,b\n1,5%\n2,0.5", "line 2, column 2 'b' .* got '5%'"),
    "semicolons.csv": (b"a;b\n1;2\n", "got '1;2'. If cells end with ';', set delimiter: \";\""),
    "tabs.csv": (b"a\tb\n1\t2\n", r"got '1\\t2'. If cells end with '\\t', set delimiter"),
    "commas.tsv": (b"a,b\n1,2.5\n", "got '1,2.5'. If cells end with ',', set delimiter: \",\""),
    "missing.csv": (b"a,b\n1,2\n,4\n", "line 3, column 1 'a' .* an empty cell; of 4 .* 1 are"),
    "missing words.csv": (b"a,b\n1,NA\n2,null\n", r"line 2, .* is NA; of 4 .* in column b \(2\)"),
    "infinite.csv": (b"a,b\n1,2\n3,-inf\n", "line 3, column 2 'b' .* is -inf; of 4 numbers 1 are"),
    "too large.csv": (b"a,b\n1,1e39\n", r"line 2, .* is 1e\+39, too large for float32"),
    "huge integer.csv": (b"a,b\n1," + b"9" * 30, "line 2, .* a whole number of more than 64 bits"),
    "very huge integer.csv": (b"a,b\n1," + b"9" * 400, "line 2, column 2 'b' .* is inf"),
    "wide integer.csv": (b"a,b\n1,16777217\n", "line 2, .* is 16777217, which float32 can't hold"),
    "rounded away.csv": (b"1700000001\n1700000002.5\n1700000003\n", "line 3, .* too coarse"),
    "hexadecimal.csv": (b"a,b\n1,0x1F\n", "line 2, column 2 'b' .* got '0x1F'"),
    "underscore.csv": (b"a,b\n1,1_000\n", "line 2, column 2 'b' .* got '1_000'"),
    "fortran.csv": (b"a,b\n1,1d5\n", "line 2, column 2 'b' .* got '1d5'"),
    "complex.csv": (b"a,b\n1,2+3j\n", r"line 2, column 2 'b' .* got '2\+3j'"),
    "latin.csv": ("a,b\n1,caf\xe9\n".encode("latin-1"), "not UTF-8 text: line 2 .* byte 0xe9"),
    "utf-16.csv": ("a,b\n1,2\n".encode("utf-16"), "is not UTF-8 text, but UTF-16: save it as"),
    "bad bytes.csv": (b"1,2\n\xff\xfe\x00,3\n", "not UTF-8 text: line 2 holds the byte 0xff"),
    "nul bytes.csv": (b"a,b\n1,2\n\x00,3\n", r"line 3, column 1 'a' .* got '\\x00'|line 3: line"),
    "binary.csv": (bytes(range(256)) * 9, "is not UTF-8 text|line 1"),
    "same names.csv": (b"a,b,a\n1,2,3\n", "two columns with the name 'a', number 0 and 2"),
    "page.csv": (b"<html>\n<p>not here</p>\n</html>", "line 2, column 1 .* got '<p>not here</p>'"),
    "index.csv": (b",a\n0,.5\n1,.25\n", "column 0 .* has no name: is it an index of the rows?"),
    "counter.csv": (b"n,a\n7,1\n8,1\n9,2\n", "column 'n' counts the rows, .* index: n"),
    "target.csv": (b"a,target\n.1,0\n.2,1\n", "column 'target' holds 2 .* label: target"),
    # packed tables
    "not packed.csv.gz": (TABLE, "is damaged: Not a gzipped file"),
    "cut.csv.gz": (gzip.compress(TABLE * 999)[:60], "is damaged: Compressed file ended before"),
    "flipped.csv.gz": (gzip.compress(TABLE)[:-6] + b"\x00" * 6, "is damaged: (CRC|Incorrect)"),
    "packed word.csv.gz": (gzip.compress(b"a,b\n1,x\n2,3\n4,5"), "line 2, column 2 'b' .* got 'x'"),
    "cut.parquet.gz": (gzip.compress(PARQUET)[:50], "is damaged: Compressed file ended before"),
    # tables of columns
    "cut.parquet": (PARQUET[:-9], "is damaged, or no .parquet file: "),
    "flipped.parquet": (PARQUET[:5] + b"\xff" * 9 + PARQUET[14:], "is damaged, or no .parquet"),
    "text.parquet": (TABLE, "is damaged, or no .parquet file: "),
    "no rows.parquet": (parquet(a=pa.array([], pa.float32())), "has no rows below its header"),
    "nulls.parquet": (parquet(a=[1.0, None]), r"row 1, column 'a' .* is null; of 2 numbers 1 are"),
    "words.parquet": (parquet(a=[1.0], b=["red"]), r"row 0, column 'b' .* got 'red'.*drop: \[b\]"),
    "times.parquet": (parquet(t=pa.array([0], pa.timestamp("s"))), "column 't' .* dates or times"),
    "lists.parquet": (parquet(a=[[1.0], [2.0]]), "column 'a' .* holds values of type list"),
    "bytes.parquet": (parquet(a=[b"x"]), "column 'a' .* holds values of type binary"),
    "infinite.parquet": (parquet(a=[1.0, np.inf]), "row 1, column 'a' .* is inf; of 2 numbers"),
    # arrays
    "cut.npy": (npy(ROWS)[:300], "is damaged"),
    "text.npy": (TABLE, "is not a .npy file: its first bytes differ"),
    "huge.npy": (huge_header(), "doesn't fit in memory, or is damaged"),
    "pickled.npy": (pickle.dumps([1]), "holds pickled objects, which could run code"),
    "objects.npy": (npy([[1, None]], dtype=object), "holds pickled objects, which could run"),
    "dates.npy": (npy(["2024-01-02"], dtype="datetime64[D]"), r"real numbers; its type is dateti"),
    "complex.npy": (npy([[1j]]), "should hold real numbers; its type is complex128"),
    "structured.npy": (npy([(1, 2)], dtype="i4,f8"), "should hold real numbers; its type is"),
    "not finite.npy": (npy([[np.nan, 0.0]]), "row 0, column 0 .* is nan; of 2 numbers 1 are"),
    "cut.npz": (npz(x=ROWS)[:3000], "is not a .npz file: File is not a zip file"),
    "flipped.npz": (HALF_NPZ[:200] + b"\xff" * 40 + HALF_NPZ[240:], r"\[x\] is damaged"),
    "other names.npz": (npz(X=ROWS), "has no array 'x' .x_key.; it holds 'X'"),
    "text within.npz": (zip_of("x.npy", b"1,2\n"), r"\[x\]"),
    "no numpy.npz": (zip_of("word/document.xml", b"<a/>"), "has no array 'x'"),
    "cut.npy.gz": (gzip.compress(npy(ROWS))[:99], r"cut\.npy\.gz is damaged: Compressed file end"),
    "text.npy.gz": (gzip.compress(TABLE), r"text\.npy\.gz is not a .npy file: its first bytes"),
    "cut.pt": (pt(torch.tensor(ROWS))[:500], "is not a file of tensors"),
    "text.pt": (TABLE, "is not a file of torch.save: its first bytes differ"),
    "list.pt": (pt([1, 2]), "should hold a tensor; it holds a list"),
    "sparse.pt": (pt(torch.eye(2).to_sparse()), "should hold a dense tensor of real numbers"),
    # others
    "sheet.xlsx": (zip_of("xl/workbook.xml", b"<a/>"), r"the ending '.xlsx' is not known; supp"),
    "packed.gz": (gzip.compress(TABLE), "the ending '' is not known; supported: .csv, .tsv"),
    "no ending": (TABLE, "the ending '' is not known; supported: .csv, .tsv"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_malformed_file_is_refused_in_one_line(name, tmp_path, monkeypatch):
    content, message = FILES[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    Path(name).write_bytes(content)
    with pytest.raises(DataError) as error:
        File(Path(name)).read_in_parts()
    said = str(error.value)
    assert re.search(message, said), said
    assert said.startswith(name)
    assert "\n" not in said
    assert len(said) < 500
    assert [path.name for path in tmp_path.iterdir()] == [name]
