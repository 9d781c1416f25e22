"""The table and the plot of benchmarks/results/speed.jsonl: `python benchmarks/report.py`.

Reads that file alone, so it needs neither a peer nor ours. Prints the tables in Markdown, writes
them and the plot beside the file, and with `--write-docs` into docs/speed.md and its picture, and
those of training on several ranks into docs/scaling.md; a page keeps what wasn't measured now.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from grid import RESULTS, ROOT, write_table
from speed.ranks_tables import ranks_tables
from speed.results import Results
from speed.tables import facts, tables

PICTURE = "![The step, the chains, and the quality for time](pictures/speed.png)"


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
    parser.add_argument("--write-docs", action="store_true", help="into docs/speed.md as well")
    given = parser.parse_args()
    text = write(given.results)
    print(text)
    read = Results.read(given.results)
    if given.write_docs and read.where(section="scaling"):
        write_table(ROOT / "docs" / "scaling.md", [*facts(read), "", *ranks_tables(read)])
    if given.write_docs and read.where(section="step"):
        lines = [*text.strip().splitlines(), "", PICTURE]
        write_table(ROOT / "docs" / "speed.md", lines)
        shutil.copyfile(given.results.with_suffix(".png"), ROOT / "docs" / "pictures" / "speed.png")


if __name__ == "__main__":
    main()
