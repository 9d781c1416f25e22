"""Puts the gallery's pictures together: `python benchmarks/pictures.py`.

Of the methods, the landscapes that `benchmarks/methods.py` kept; of the toys, those of
examples/toys.yaml, which it trains as they are, one after the other where they are missing.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from grid import HERE, RESULTS, ROOT
from matplotlib.figure import Figure
from matplotlib.image import imread
from methods import ROWS
from toys import TOYS

PICTURES = ROOT / "docs" / "pictures"


def main() -> None:
    """Write both pictures."""
    methods = {row: RESULTS / Path(config).stem / "landscape.png" for row, config in ROWS.items()}
    mosaic(methods, PICTURES / "methods.png", columns=4)
    toys = {toy: RESULTS / f"toys-{toy}" / "landscape.png" for toy in TOYS}
    for toy, picture in toys.items():
        if not picture.exists():
            command = [sys.executable, HERE / "job.py", ROOT / "examples" / "toys.yaml"]
            options = [f"data.type={toy}", "--pictures", picture.parent]
            subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    mosaic(toys, PICTURES / "toys.png", columns=3)


def mosaic(pictures: Mapping[str, Path], file: Path, columns: int) -> None:
    """Put pictures side by side, each under its title."""
    rows = math.ceil(len(pictures) / columns)
    figure = Figure(figsize=(3.6 * columns, 3.2 * rows), dpi=100, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axes in panels:
        axes.axis("off")
    for axes, (title, picture) in zip(figure.axes, pictures.items(), strict=False):
        axes.imshow(imread(picture))
        axes.set_title(title, fontsize=10)
    figure.savefig(file)


if __name__ == "__main__":
    main()
