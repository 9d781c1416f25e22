import pytest
import torch
from ebmcore_datasets import BinaryDigits, Digits
from sklearn.datasets import load_digits


def test_they_are_scikit_learn_s():
    raw = load_digits()
    x, y = Digits()()
    assert x.shape == (1797, 8, 8)
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert torch.equal(16 * x, torch.tensor(raw.images, dtype=torch.float32))
    assert torch.equal(y, torch.tensor(raw.target))
    assert (x.min(), x.max()) == (0, 1)


def test_standardised_is_one_affine_map_of_all_pixels():
    unit, standardised = Digits()()[0], Digits(scale="standardised")()[0]
    assert standardised.mean().abs() < 1e-5
    assert (standardised.std(correction=0) - 1).abs() < 1e-5
    expected = (unit - unit.mean()) / unit.std(correction=0)
    torch.testing.assert_close(standardised, expected)
    resized = Digits(scale="standardised", resize=28, classes=[1])()[0]
    assert resized.mean().abs() < 1e-5
    assert (resized.std(correction=0) - 1).abs() < 1e-5


def test_classes_choose_digits_in_the_order_of_the_file():
    x, y = Digits()()
    chosen, labels = Digits(classes=[8, 3])()
    keep = (y == 3) | (y == 8)
    assert set(labels.tolist()) == {3, 8}
    assert torch.equal(chosen, x[keep])
    assert torch.equal(labels, y[keep])


def test_resize_is_bilinear():
    x = Digits()()[0]
    assert Digits(resize=28)()[0].shape == (1797, 28, 28)
    assert torch.equal(Digits(resize=8)()[0], x)
    double = Digits(resize=16)()[0]
    torch.testing.assert_close(double[:, 0, 0], x[:, 0, 0])
    torch.testing.assert_close(double[:, 0, 1], 0.75 * x[:, 0, 0] + 0.25 * x[:, 0, 1])
    mixed = torch.tensor([0.75, 0.25])
    torch.testing.assert_close(double[:, 5, 5], mixed @ x[:, 2:4, 2:4] @ mixed)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"classes": [3, 10]}, r"digits from 0 to 9; got \[3, 10\]"),
        ({"classes": [-1]}, r"digits from 0 to 9; got \[-1\]"),
        ({"classes": []}, r"digits from 0 to 9; got \[\]"),
        ({"scale": "zero-one"}, "unit or standardised; got 'zero-one'"),
        ({"resize": 0}, "resize should be at least 1; got 0"),
    ],
)
def test_what_a_constructor_refuses(keys, message):
    with pytest.raises(ValueError, match=message):
        Digits(**keys)


def test_bits_are_the_pixels_above_a_threshold():
    (grey, y), (x, labels) = Digits()(), BinaryDigits(threshold=0.5)()
    assert torch.equal(x, (grey > 0.5).float())
    assert torch.equal(y, labels)
    assert 0.2 < x.mean() < 0.4
    assert BinaryDigits(classes=[3])()[1].unique().tolist() == [3]
