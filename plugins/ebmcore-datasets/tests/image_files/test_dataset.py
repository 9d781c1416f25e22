"""Folders of images as datasets: order, labels, streams, and datasets like others."""

import os

import numpy as np
import pytest
import torch
from ebmcore_datasets import Images
from PIL import Image

from ebmcore import DataError, Real
from ebmcore.config import Loader
from ebmcore.data import load_data, stream_data


def save(path, levels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(levels, dtype=np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    """Six grey images of 4×4, whose levels are 10 times their number, in two folders."""
    for number, name in enumerate(["a/2.png", "a/10.png", "b/1.bmp", "b/c/1.PNG", "b/c/2.png"]):
        save(tmp_path / "set" / name, np.full((4, 4), 10 * number))
    (tmp_path / "set" / "a" / "notes.txt").write_text("not an image")
    (tmp_path / "set" / "b" / "._1.png").write_text("not one either")
    return tmp_path / "set"


ORDER = ["a/10.png", "a/2.png", "b/1.bmp", "b/c/1.PNG", "b/c/2.png"]


def read(source, dtype=torch.float32, **keys):
    return load_data(
        source, holdout=0.0, generator=torch.Generator().manual_seed(0), dtype=dtype, **keys
    )


def test_files_are_read_in_the_order_of_their_paths(folder):
    images = Images(folder)
    x = images()
    assert (x.shape, x.dtype, images.space) == ((5, 1, 4, 4), torch.float32, Real(0, 1))
    assert list(images.ids) == [name.replace("/", os.sep) for name in ORDER]
    levels = torch.tensor([10.0, 0, 20, 30, 40])
    assert torch.equal(x[:, 0, 0, 0], levels / 255)
    assert images.label_names is None
    assert torch.equal(read(images, torch.float64).x[:, 0, 1, 2], levels.double() / 255)


def test_bytes_stay_bytes(folder):
    images = Images(folder, scale="bytes", colour="rgb")
    x = images()
    assert (x.shape, x.dtype, images.space) == ((5, 3, 4, 4), torch.uint8, Real(0, 255))
    assert x[:, 2, 3, 3].tolist() == [10, 0, 20, 30, 40]
    data = read(images)
    assert (data.x.dtype, data.warnings) == (torch.float32, ())


def test_the_folders_are_labels_when_asked(folder):
    images = Images(folder, labels="folders")
    data = read(images)
    assert images.label_names == ("a", "b")
    assert data.y.tolist() == [0, 0, 1, 1, 1]
    assert torch.equal(images()[1], data.y)
    save(folder / "0.png", np.zeros((4, 4)))
    with pytest.raises(DataError, match=r"0\.png lies in no folder of a label, .*; move it into"):
        Images(folder, labels="folders")()


def test_a_stream_reads_files_as_batches_need_them(folder):
    images = Images(folder, labels="folders", scale="bytes")
    data = stream_data(
        images, loader=Loader(), seed=0, holdout=0.0, generator=torch.Generator(),
        dtype=torch.float32,
    )  # fmt: skip
    rows = data.stream.read(torch.tensor([4, 0]), "step 1")
    assert rows.x.dtype == torch.uint8
    assert rows.x[:, 0, 0, 0].tolist() == [40, 10]
    assert rows.y.tolist() == [1, 0]
    with Image.open(folder / "a" / "10.png") as image:
        image.resize((5, 4)).save(folder / "a" / "10.png")  # since the run began
    with pytest.raises(DataError, match=r"10\.png has 4 × 5 pixels and .*10\.png 4 × 4"):
        data.stream.read(torch.tensor([0]), "step 2")


def test_one_like_it_reads_others_with_the_same_keys(folder, tmp_path):
    images = Images(folder, labels="folders", colour="rgb", size=2)
    save(tmp_path / "new" / "b" / "1.png", np.full((4, 4), 51))
    save(tmp_path / "plain" / "1.png", np.full((4, 4), 102))
    for there in (images, Images(folder, labels="folders", colour="rgb", size=2)):
        new = there.like(tmp_path / "new")
        x, y = new()
        assert (x.shape, x.mean().item(), y.tolist()) == ((1, 3, 2, 2), pytest.approx(0.2), [1])
        assert (new.label_names, list(new.ids)) == (("a", "b"), [os.path.join("b", "1.png")])
        plain = there.like(str(tmp_path / "plain"))
        assert (plain().mean().item(), plain.label_names) == (pytest.approx(0.4), None)
        alone = there.like(tmp_path / "plain" / "1.png")
        assert (alone().shape, alone.ids) == ((1, 3, 2, 2), ("1.png",))
        images()
    assert (images.path, len(images.ids)) == (folder, 5)
    for name in "ab":
        for file in sorted((folder / name).rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        (folder / name).rmdir()
    folder.rmdir()
    gone = Images(folder, labels="folders", size=2).like(tmp_path / "new")
    assert gone().shape == (1, 1, 2, 2)  # labels of unknown names are left out


def test_a_link_that_leads_back_is_not_followed(folder):
    (folder / "b" / "c" / "up").symlink_to(folder)
    (folder / "d").symlink_to(folder / "a")
    assert len(Images(folder)()) == 7  # those of a once more


def test_folders_without_images(tmp_path):
    with pytest.raises(DataError, match=r"^no such folder: .*none$"):
        Images(tmp_path / "none")()
    with pytest.raises(DataError, match=r"holds no files that end in \.png, .*\.pnm$"):
        Images(tmp_path)()
    (tmp_path / "a.csv").write_text("1,2\n")
    with pytest.raises(DataError, match=r"its 1 files, such as .*a\.csv, are no images$"):
        Images(tmp_path)()
    with pytest.raises(DataError, match=r"a\.csv is a file; `images` reads the files of a folder"):
        Images(tmp_path / "a.csv")()


def test_images_of_several_sizes_need_a_size(folder):
    save(folder / "b" / "z.png", np.zeros((6, 4)))
    message = r"z\.png has 4 × 6 pixels and .*10\.png 4 × 4; .* give `size`, such as size: 4$"
    for check in (True, False):
        with pytest.raises(DataError, match=message):
            Images(folder).read_in_parts(check=check)
    assert Images(folder, size=4)().shape == (6, 1, 4, 4)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"size": 0}, "size should be at least 1; got 0"),
        ({"colour": "red"}, "colour should be grey or rgb; got 'red'"),
        ({"labels": "files"}, "labels should be folders; got 'files'"),
        ({"scale": "half"}, "scale should be unit or bytes; got 'half'"),
        ({"background": 256}, "background should be a level from 0 to 255; got 256"),
    ],
)
def test_keys_are_checked(keys, message):
    with pytest.raises(ValueError, match=message):
        Images("x", **keys)
