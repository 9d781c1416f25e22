"""The table and the plot of benchmarks/results/speed.jsonl: `python benchmarks/report.py`.

Reads that file alone, so it needs neither a peer nor ours. Prints the tables in Markdown, writes
them and the plot beside the file, and with `--write-docs` the plot into docs/pictures;
`python benchmarks/pages.py` then writes the tables into docs/speed.md and docs/scaling.md.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from grid import RESULTS, ROOT
from speed.results import Results
from speed.tables import tables


def write(results: Path) -> str:
    """Write NAME.md and NAME.png beside NAME.jsonl; return the tables."""
    from speed.plot import draw  # matplotlib, which a look at --help needn't wait for

    read = Results.read(results)
    text = "\n".join(tables(read)) + "\n"
    results.with_suffix(".md").write_text(text, encoding="utf-8")
    draw(read, results.with_suffix(".png"))
    return text


def main() -> None:
    """Write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS / "speed.jsonl")
    parser.add_argument("--write-docs", action="store_true", help="the plot into docs/pictures")
    given = parser.parse_args()
    print(write(given.results))
    if given.write_docs:
        shutil.copyfile(given.results.with_suffix(".png"), ROOT / "docs" / "pictures" / "speed.png")


if __name__ == "__main__":
    main()
