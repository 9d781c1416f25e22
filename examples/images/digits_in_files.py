"""The digits of scikit-learn as PNG files, which the first run writes, for `from_disk.yaml`.

ebmcore run examples/images/from_disk.yaml
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from ebmcore_datasets import Images
from PIL import Image

import ebmcore


@ebmcore.dataset(name="digits_in_files")
class DigitsInFiles(Images):
    """1,797 files of 8×8 grey levels in the folders of their labels, in the user's cache."""

    def __init__(self) -> None:
        super().__init__(digits(), labels="folders", scale="bytes")


def digits() -> Path:
    """Return the folder of the digits, which is written at the first call."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ebmcore"
    folder = cache / "digits"
    if not folder.is_dir():
        from sklearn.datasets import load_digits  # type: ignore[import-untyped] # it has no types

        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as made:  # whole, or not there at all
            images, labels = load_digits(return_X_y=True)  # 17 grey levels
            for number, (image, label) in enumerate(zip(images, labels, strict=True)):
                place = Path(made, "digits", str(label))
                place.mkdir(parents=True, exist_ok=True)
                levels = (255 / 16 * image.reshape(8, 8)).round().astype(np.uint8)
                Image.fromarray(levels).save(place / f"{number:04}.png")
            if not folder.is_dir():
                Path(made, "digits").rename(folder)
    return folder
