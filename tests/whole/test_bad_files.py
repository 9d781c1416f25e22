"""A config with a file that can't be read ends with one message, exit code 2, and no run."""

import gzip
import os

import pytest

from support import ROOT

pytestmark = pytest.mark.plugins

FILES = {
    "words.csv": (b"height,weight\n1.5,2\n\n3,four\n", "words.csv: line 4, column 2 'weight'"),
    "cut.csv.gz": (gzip.compress(b"1,2\n" * 99)[:20], "cut.csv.gz is damaged: Compressed file"),
    "other.parquet": (b"a,b\n1,2\n", "other.parquet is damaged, or no .parquet file"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_ends_a_run_before_it_begins(name, tmp_path, monkeypatch, ebmcore_command):
    content, message = FILES[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    config = ROOT / "examples" / "tables" / "standardised.yaml"
    done = ebmcore_command("run", config, f"data.path={name}")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == [name]
