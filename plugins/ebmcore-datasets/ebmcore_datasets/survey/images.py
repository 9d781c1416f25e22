"""Facts about a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ebmcore import DataError
from ebmcore_datasets.image_files.listing import images_in
from ebmcore_datasets.image_files.picture import Picture, size_in_head

_HEADS = 2000  # files whose size is looked at
_READ = 32  # files that are read for their colours


class ImageFacts(NamedTuple):
    """A folder of images.

    Attributes:
        files: How many there are.
        sizes: The different sizes of those looked at, the shorter side first.
        coloured: Whether one of some that were read has colours.
        see_through: Whether one of them has transparency.
        folders: The names of the folders in it, if every image lies in one of them.
    """

    files: int
    sizes: tuple[tuple[int, int], ...]
    coloured: bool
    see_through: bool
    folders: tuple[str, ...]


def survey_images(folder: Path) -> ImageFacts:
    """Look at the heads of a folder's images, and read some. Raises DataError."""
    files = images_in(folder)
    heads = files[:: -(-len(files) // _HEADS)]
    sizes = tuple(sorted({size_in_head(file) for file in heads}))
    coloured = see_through = False
    for file in files[:: -(-len(files) // _READ)]:
        try:
            levels = Picture(None, "rgb", None).read(file)
        except DataError:  # transparency, or an image that can't be read, which is raised below
            levels = Picture(None, "rgb", 255).read(file)
            see_through = True
        coloured = coloured or bool((levels != levels[:1]).any())
    loose = any(file.parent == folder for file in files)
    names = {file.relative_to(folder).parts[0] for file in files}
    return ImageFacts(
        len(files), sizes, coloured, see_through, () if loose else tuple(sorted(names))
    )
