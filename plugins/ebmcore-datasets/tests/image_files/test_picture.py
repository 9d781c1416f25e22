"""One image file: formats and colours that are converted, and files that are refused by name."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from ebmcore_datasets.image_files.picture import Picture, size_in_head
from PIL import Image

from ebmcore import DataError

GREY = Picture(None, "grey", None)
RGB = Picture(None, "rgb", None)
NOISE = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)


def test_grey_is_the_luma_of_colours(tmp_path):
    colours = np.random.default_rng(1).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.png")
    assert np.array_equal(RGB.read(tmp_path / "a.png"), colours.transpose(2, 0, 1))
    luma = colours @ [0.299, 0.587, 0.114]
    assert np.abs(GREY.read(tmp_path / "a.png")[0] - luma).max() < 1
    assert size_in_head(tmp_path / "a.png") == (5, 6)


@pytest.mark.parametrize("ending", ["tif", "png", "pgm"])
def test_sixteen_bits_are_rounded_to_eight(tmp_path, ending):
    levels = np.array([[0, 128, 129, 257], [257 * 200, 65535, 40000, 385]], dtype=np.uint16)
    path = tmp_path / f"a.{ending}"
    if ending == "pgm":
        path.write_bytes(b"P5 4 2 65535\n" + levels.astype(">u2").tobytes())
    else:
        Image.fromarray(levels).save(path)
    assert GREY.read(path).tolist() == [[[0, 0, 1, 1], [200, 255, 156, 1]]]
    assert RGB.read(path)[2].tolist() == [[0, 0, 1, 1], [200, 255, 156, 1]]


def test_other_colours_are_converted(tmp_path):
    red = Image.new("RGB", (3, 2), (250, 10, 20))
    red.convert("CMYK").save(tmp_path / "cmyk.tif")
    red.quantize(4).save(tmp_path / "palette.png")
    Image.new("1", (3, 2), 1).save(tmp_path / "bits.png")
    for name in ("cmyk.tif", "palette.png"):
        assert RGB.read(tmp_path / name)[:, 0, 0].tolist() == [250, 10, 20]
    assert GREY.read(tmp_path / "bits.png").tolist() == [[[255] * 3] * 2]
    Image.fromarray(NOISE).convert("CMYK").save(tmp_path / "cmyk.jpg")
    assert GREY.read(tmp_path / "cmyk.jpg").shape == (1, 40, 40)


@pytest.mark.parametrize("kind", ["RGBA", "LA", "palette"])
def test_transparency_needs_a_background(tmp_path, kind):
    image = Image.new("RGBA" if kind == "palette" else kind, (2, 2), 0)
    image.putpixel((0, 0), {"LA": (100, 255)}.get(kind, (100, 100, 100, 255)))
    if kind == "palette":
        image = image.quantize(4, method=Image.Quantize.FASTOCTREE)
    image.save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png is see-through in 75% .*background"):
        GREY.read(tmp_path / "a.png")
    white = GREY._replace(background=255)
    assert white.read(tmp_path / "a.png").tolist() == [[[100, 255], [255, 255]]]


def test_full_opacity_is_no_transparency(tmp_path):
    Image.new("RGBA", (2, 2), (9, 9, 9, 255)).save(tmp_path / "a.png")
    assert GREY.read(tmp_path / "a.png").tolist() == [[[9, 9], [9, 9]]]


def test_images_are_turned_as_their_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # its rows are the columns, from the right
    Image.fromarray(NOISE[:20]).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(GREY.read(tmp_path / "a.png")[0], np.rot90(NOISE[:20], -1))
    assert size_in_head(tmp_path / "a.png") == (20, 40)


@pytest.mark.parametrize(
    ("shape", "scaled", "box"),
    [
        ((40, 40), (10, 10), (0, 0, 10, 10)),
        ((20, 40), (20, 10), (5, 0, 15, 10)),
        ((30, 20), (10, 15), (0, 2, 10, 12)),
        ((5, 7), (14, 10), (2, 0, 12, 10)),
        ((5, 10), (20, 10), (5, 0, 15, 10)),
    ],
)
def test_a_size_scales_the_shorter_side_and_cuts(tmp_path, shape, scaled, box):
    image = Image.fromarray(NOISE[: shape[0], : shape[1]])
    image.save(tmp_path / "a.png")
    expected = np.array(image.resize(scaled, Image.Resampling.BILINEAR).crop(box))
    found = GREY._replace(side=10).read(tmp_path / "a.png")[0]
    assert np.array_equal(found, expected)
    if shape == (40, 40):  # averages over the pixels that become one
        assert abs(found.mean() - NOISE.mean()) < 2
        assert found.std() < NOISE.std() / 2


def encoded(image, **keys):
    file = io.BytesIO()
    image.save(file, **keys)
    return file.getvalue()


def broken(png):
    """Change a byte of the compressed pixels, with the checksum as it should be."""
    at = png.index(b"IDAT")
    size = struct.unpack(">I", png[at - 4 : at])[0]
    body = bytearray(png[at + 4 : at + 4 + size])
    body[2] = 0xFF
    checksum = struct.pack(">I", zlib.crc32(b"IDAT" + bytes(body)))
    return png[: at + 4] + bytes(body) + checksum + png[at + 8 + size :]


PNG = encoded(Image.fromarray(NOISE), format="PNG")
JPEG = encoded(Image.fromarray(NOISE), format="JPEG")
FRAMES = [Image.fromarray(NOISE[i:]).resize((8, 8)) for i in range(3)]
BAD = {
    "empty.png": (b"", "is empty: 0 bytes"),
    "words.png": (b"id,score\n1,2\n", r"is no image that can be read \(PNG, .*'id,score"),
    "cut.png": (PNG[:200], "is damaged or cut off: "),
    "head.png": (PNG[:20], "is (no image|damaged)"),
    "pixels.png": (broken(PNG), "is damaged or cut off: "),
    "cut.jpg": (JPEG[: len(JPEG) // 2], "is damaged or cut off: "),
    "moves.gif": (
        encoded(FRAMES[0], format="GIF", save_all=True, append_images=FRAMES[1:]),
        "holds 3 frames; save",
    ),
    "moves.png": (
        encoded(FRAMES[0], format="PNG", save_all=True, append_images=FRAMES[1:]),
        "holds 3 frames; save",
    ),
    "pages.tif": (
        encoded(FRAMES[0], format="TIFF", save_all=True, append_images=FRAMES[1:]),
        "holds 3 frames; save",
    ),
    "floats.tif": (
        encoded(Image.fromarray(NOISE.astype(np.float32)), format="TIFF"),
        "holds floats, which are no levels",
    ),
    "wide.tif": (
        encoded(Image.fromarray(NOISE.astype(np.int32)), format="TIFF"),
        "holds whole numbers of 32 bits, which are no levels",
    ),
    "drawing.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "is no image that can be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_by_name(tmp_path, name):
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"^{tmp_path / name} {message}"):
        GREY.read(tmp_path / name)


def test_names_without_a_file_behind_them(tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match=r"gone\.png can't be read: No such file"):
        size_in_head(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"pipe\.png is no file that holds bytes"):
        size_in_head(tmp_path / "pipe.png")
