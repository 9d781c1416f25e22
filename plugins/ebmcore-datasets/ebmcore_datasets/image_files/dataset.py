"""The user's own images, from the files of a folder."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Literal, Self

from torch import Tensor

from ebmcore import PositiveInt, Real
from ebmcore_datasets.image_files.listing import images_in, known_labels, labels_of
from ebmcore_datasets.image_files.picture import Picture
from ebmcore_datasets.image_files.rows import Files, Read

Colour = Literal["grey", "rgb"]
Scale = Literal["unit", "bytes"]


class Images:
    """The images of a folder and of the folders in it, in the order of their paths.

    Called, it returns x (n, 1, height, width) of grey images or (n, 3, height, width) of coloured
    ones, or (x, y) with `labels: folders`, y (n,) the number of each image's folder in the order of
    their names. The attributes `ids` (n,), the paths within the folder, and `label_names`, the
    folders' names, are there once it was read.

    A run holds the images in memory once, and while it reads them a byte for each of their numbers
    beside that; with `data.loader` it reads each file when a batch needs it, and holds none. It
    looks at the heads of all files, 0.2 ms each, before it trains either way.

    Files are those that end in .png, .jpg, .jpeg, .bmp, .gif, .tif, .tiff, .webp, .pgm, .ppm or
    .pnm, whose names don't begin with a dot. Pillow reads them: turned as EXIF says; CMYK and other
    colours converted without their profiles; grey levels of 16 bits rounded to 8. With `size`, an
    image is scaled so that its shorter side is that, by Pillow's bilinear filter, which averages
    where it shrinks; then what is too long is cut off at both ends alike, as torchvision's
    `Resize(size)` and `CenterCrop(size)` do.

    Raises DataError, which names the file, for one that is no image, is cut off or damaged, can't
    be read, has several frames, or levels of more than 16 bits; for one that is see-through while
    `background` isn't given, or of another size than the first while `size` isn't given; and for a
    folder that is missing or holds no images.

    Args:
        path: The folder, relative to the working directory.
        size: Side of the images in pixels; their own size, the same for all, when not given.
        colour: grey has one channel, the luma of ITU-R BT.601; rgb three.
        labels: folders takes the folders in `path` for the labels of the images in them; no labels
            when not given.
        scale: unit divides by 255, to [0, 1]; bytes keeps whole numbers from 0 to 255.
        background: Level from 0 to 255, black to white, that shows through images with
            transparency; they are refused when not given.
    """

    def __init__(
        self,
        path: Path,
        *,
        size: PositiveInt | None = None,
        colour: Colour = "grey",
        labels: Literal["folders"] | None = None,
        scale: Scale = "unit",
        background: int | None = None,
    ) -> None:
        if size is not None and size < 1:
            raise ValueError(f"size should be at least 1; got {size}")
        for key, value, known in (
            ("colour", colour, ("grey", "rgb")),
            ("labels", labels, (None, "folders")),
            ("scale", scale, ("unit", "bytes")),
        ):
            if value not in known:
                allowed = " or ".join(word for word in known if word)
                raise ValueError(f"{key} should be {allowed}; got {value!r}")
        if background is not None and not 0 <= background <= 255:
            raise ValueError(f"background should be a level from 0 to 255; got {background}")
        self.path = path
        self.size = size
        self.colour = colour
        self.labels = labels
        self.scale = scale
        self.background = background
        self.space = Real(0, 1 if scale == "unit" else 255)
        self.ids: tuple[str, ...] | None = None
        self.label_names: tuple[str, ...] | None = None
        self._known: tuple[str, ...] | None = None  # the label names of the dataset that it is like

    def __call__(self) -> Tensor | tuple[Tensor, Tensor]:
        """Return x, or (x, y). Raises DataError."""
        found = self.read_in_parts()
        if isinstance(found, tuple):
            return found[0][:], found[1]
        everything: Tensor = found[:]
        return everything

    def read_in_parts(self, *, check: bool = True) -> Any:
        """Return what a call does, but x as rows that are scaled when asked for.

        Without `check` they are read from their files only then. Raises DataError.
        """
        path = Path(self.path).expanduser()
        alone = path.is_file() and self._known is not None  # one image, like others
        folder = path.parent if alone else path
        files = [path] if alone else images_in(path)
        y = self._labels(folder, files)
        picture = Picture(self.size, self.colour, self.background)
        rows = Files(files, picture, unit=self.scale == "unit")
        self.ids = tuple(str(file.relative_to(folder)) for file in files)
        x = Read(rows) if check else rows
        return x if y is None else (x, y)

    def like(self, path: Path | str) -> Self:
        """Return a dataset of other images with the same keys: those of a folder, or of one file.

        They have labels if these have, and each lies in a folder that is a label of these.
        """
        other = copy.copy(self)
        other.path = Path(path)
        other.ids = other.label_names = None
        other._known = self._known or self.label_names or self._listed_names()
        return other

    def _labels(self, folder: Path, files: list[Path]) -> Tensor | None:
        if self.labels is None:
            return None
        if self._known is not None:
            y = known_labels(folder, files, self._known)
            self.label_names = None if y is None else self._known
            return y
        y, self.label_names = labels_of(folder, files)
        return y

    def _listed_names(self) -> tuple[str, ...]:
        """List the names of the labels, reading no image; none without labels, or the folder."""
        folder = Path(self.path).expanduser()
        if self.labels is None or not folder.is_dir():
            return ()
        return labels_of(folder, images_in(folder))[1]
