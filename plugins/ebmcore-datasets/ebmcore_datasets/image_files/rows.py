"""Images as rows of a run: levels that are in memory, or files that are read when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ebmcore import DataError, RowsInParts
from ebmcore_datasets.image_files.picture import Picture, size_in_head


class Files(RowsInParts):
    """Images that stay in their files; bytes, or from 0 to 1.

    Reads the heads of all files and the first one whole, and raises DataError for one that is no
    image, or has another size than the first where the picture has no size of its own.

    Args:
        files: One for each image.
        picture: How they are read.
        unit: Whether to divide by 255.
    """

    def __init__(self, files: Sequence[Path], picture: Picture, *, unit: bool) -> None:
        self.files = files
        self.picture = picture
        self.unit = unit
        self.event = tuple(picture.read(files[0]).shape)
        self.shape = torch.Size((len(files), *self.event))
        self.dtype = torch.get_default_dtype() if unit else torch.uint8
        for file in files:
            size = size_in_head(file)
            if picture.side is None and size != tuple(sorted(self.event[1:])):
                self._refuse_other_size(file, size)

    def levels(self, numbers: Sequence[int]) -> Tensor:
        """Read files by their numbers, (k, channels, height, width), uint8. Raises DataError."""
        levels = torch.empty((len(numbers), *self.event), dtype=torch.uint8)
        for row, number in enumerate(numbers):
            image = self.picture.read(self.files[number])
            if image.shape != self.event:
                self._refuse_other_size(self.files[number], image.shape[1:])
            levels[row] = torch.from_numpy(image)
        return levels

    def __getitem__(self, rows: slice) -> Tensor:
        """Read some of the files, in their order."""
        return scaled(self.levels(range(len(self))[rows]), self)

    def at(self, numbers: Tensor) -> Tensor:
        """Read files by their numbers, (k,)."""
        return scaled(self.levels(numbers.tolist()), self)

    def _refuse_other_size(self, file: Path, size: Sequence[int]) -> None:
        (height, width), first = self.event[1:], self.files[0]
        raise DataError(
            f"{file} has {size[0]} × {size[1]} pixels and {first} {height} × {width}; images need "
            f"one size: give `size`, such as size: {min(height, width)}"
        )


class Read(RowsInParts):
    """Images whose levels are in memory, a byte for each number of a row."""

    def __init__(self, files: Files) -> None:
        self.kept = files.levels(range(len(files)))
        self.unit = files.unit
        self.shape = files.shape
        self.dtype = files.dtype

    def __getitem__(self, rows: slice) -> Tensor:
        """Return some of the rows."""
        return scaled(self.kept[rows], self)

    def at(self, numbers: Tensor) -> Tensor:
        """Return rows by their numbers, (k,)."""
        return scaled(self.kept[numbers], self)


def scaled(levels: Tensor, rows: Files | Read) -> Tensor:
    """Return levels as a run's rows: as they are, or from 0 to 1 in the rows' own type."""
    return levels.to(rows.dtype) / 255 if rows.unit else levels
