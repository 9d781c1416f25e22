"""One image file as levels from 0 to 255 in one size and colour, or the reason why it can't be."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ebmcore import DataError

Levels = np.ndarray[Any, np.dtype[np.uint8]]

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # those that run nothing
_SIXTEEN = ("PNG", "PPM")  # whose levels of mode I are from 0 to 65535
_MODES = {"grey": "L", "rgb": "RGB"}


class Picture(NamedTuple):
    """The size and colour that files are read in."""

    side: int | None  # of the square that they are scaled and cut to; None keeps their size
    colour: Literal["grey", "rgb"]
    background: int | None  # the level behind images with transparency; None refuses these

    def read(self, file: Path) -> Levels:
        """Return a file's levels, (channels, height, width). Raises DataError."""
        with _opened(file) as image:
            _refuse_other_kinds(file, image)
            turned = ImageOps.exif_transpose(image)
            levels = self._resized(self._coloured(file, turned))
        array = np.array(levels, dtype=np.uint8)
        return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))

    def _coloured(self, file: Path, image: Image.Image) -> Image.Image:
        mode = _MODES[self.colour]
        if image.mode.startswith("I"):
            return Image.fromarray(_eight_bits(image)).convert(mode)
        if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
            image = image.convert("RGBA")
            seen_through = np.array(image.getchannel("A")) < 255
            if not seen_through.any():
                return image.convert("RGB").convert(mode)
            if self.background is None:
                raise DataError(
                    f"{file} is see-through in {seen_through.mean():.0%} of its pixels; give the "
                    "level behind it: background: 0 for black, 255 for white"
                )
            behind = Image.new("RGBA", image.size, (self.background,) * 3 + (255,))
            return Image.alpha_composite(behind, image).convert("RGB").convert(mode)
        return image.convert(mode)

    def _resized(self, image: Image.Image) -> Image.Image:
        """Scale and cut as torchvision's Resize(side) and CenterCrop(side) do."""
        side = self.side
        if side is None:
            return image
        width, height = image.size
        if min(width, height) != side:
            short = min(width, height)
            width, height = (int(side * length / short) for length in (width, height))
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = round((width - side) / 2), round((height - side) / 2)
        return image.crop((left, top, left + side, top + side))


def size_in_head(file: Path) -> tuple[int, int]:
    """Return an image's two sides, the shorter first, from its file's head. Raises DataError."""
    with _opened(file) as image:
        _refuse_other_kinds(file, image)
        short, long = sorted(image.size)
        return short, long


def _refuse_other_kinds(file: Path, image: Image.Image) -> None:
    """Refuse images of several frames and of levels that have no known range."""
    if image.format != "MPO" and getattr(image, "is_animated", False):  # MPO: views of one scene
        frames = getattr(image, "n_frames", 2)
        raise DataError(f"{file} holds {frames} frames; save those that you want as files")
    if image.mode == "F" or (image.mode == "I" and image.format not in _SIXTEEN):
        kind = "floats" if image.mode == "F" else "whole numbers of 32 bits"
        raise DataError(
            f"{file} holds {kind}, which are no levels of 8 or 16 bits; scale them and save them "
            "as these, or give all images as one array to type: file"
        )


def _eight_bits(image: Image.Image) -> Levels:
    """Round levels from 0 to 65535 to 0 to 255."""
    levels = np.array(image).astype(np.int64)
    return ((levels + 128) // 257).astype(np.uint8)


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """Open an image; turn whatever Pillow raises meanwhile into a DataError that names the file."""
    try:
        about = file.stat()
        if not stat.S_ISREG(about.st_mode):
            raise DataError(f"{file} is no file that holds bytes, so it can't be read as an image")
        if not about.st_size:
            raise DataError(f"{file} is empty: 0 bytes")
        with Image.open(file, formats=_FORMATS) as image:
            yield image
    except UnidentifiedImageError as error:
        with file.open("rb") as opened:
            begins = opened.read(12)
        raise DataError(
            f"{file} is no image that can be read ({', '.join(_FORMATS)}): it begins with "
            f"{begins!r}"
        ) from error
    except OSError as error:
        if error.errno is not None:
            raise DataError(f"{file} can't be read: {error.strerror or error}") from error
        raise DataError(f"{file} is damaged or cut off: {error}") from error
    except (DataError, MemoryError):
        raise
    except Exception as error:  # the decoders raise SyntaxError, struct.error, zlib.error and more
        raise DataError(f"{file} is damaged or cut off: {type(error).__name__}: {error}") from error
