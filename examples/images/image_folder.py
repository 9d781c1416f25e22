"""Images in the folders of their labels, read from disk one by one.

ebmcore run examples/images/from_disk.yaml
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

import ebmcore


@ebmcore.dataset(name="image_folder")
class ImageFolder(Dataset[Any]):
    """PNG files in a folder for each label, as grey levels from 0 to 255.

    An item is (x, y): x (1, height, width), bytes; y the number of the file's folder, in the order
    of their names.

    Args:
        path: The folder of the folders; by default one in the user's cache, into which the first
            run writes the digits of scikit-learn, 1,797 files of 8×8 pixels.
    """

    space = ebmcore.Real(0, 255)

    def __init__(self, *, path: Path | None = None) -> None:
        folder = digits() if path is None else path.expanduser()
        self.files = sorted(folder.glob("*/*.png"))
        if not self.files:
            raise ebmcore.DataError(f"{folder}: holds no PNG files in folders")
        names = sorted({file.parent.name for file in self.files})
        self.labels = [names.index(file.parent.name) for file in self.files]

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Read one file."""
        with Image.open(self.files[index]) as image:
            levels = np.array(image.convert("L"))  # (height, width), uint8
        return torch.from_numpy(levels)[None], self.labels[index]


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
