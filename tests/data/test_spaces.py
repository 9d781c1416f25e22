"""Event spaces: reading, drawing, checking, and the data that declare one."""

import pytest
import torch

from ebmcore import Binary, Categorical, DataError, Mixed, Real
from ebmcore.data import load_data
from ebmcore.spaces import as_space

MIXED = Mixed((Binary(), Real(0, 1), Categorical(3)))
SPACES = [Real(), Real(low=-2.0), Real(0, 3), Binary(), Categorical(5), MIXED]


def seeded():
    return torch.Generator().manual_seed(0)


def loaded(data, **options):
    return load_data(data, holdout=0.25, generator=seeded(), dtype=torch.float32, **options)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_a_space_reads_what_it_writes_and_holds_its_own_draws(space):
    assert as_space(space.written()) == space
    x = space.sample((500, 3), seeded(), dtype=torch.float64)
    space.check(x)
    assert x.dtype == space.dtype_in(torch.float64)
    assert torch.equal(x, space.sample((500, 3), seeded(), dtype=torch.float64))
    on_meta = space.sample((2, 3), seeded(), "meta")
    assert on_meta.is_meta
    space.check(on_meta)


def test_draws_take_every_value_of_a_space_alike():
    assert Binary().sample((4000, 5), seeded()).mean().item() == pytest.approx(0.5, abs=0.02)
    counts = torch.bincount(Categorical(4).sample((20000,), seeded()))
    assert counts.tolist() == pytest.approx([5000] * 4, abs=5 * 61)
    column = MIXED.sample((9000, 3), seeded())
    assert [column[:, i].mean().item() for i in range(3)] == pytest.approx([0.5, 0.5, 1], abs=0.05)


@pytest.mark.parametrize(
    ("given", "space"),
    [
        ("binary", Binary()),
        ({"type": "categorical", "k": 5}, Categorical(5)),
        ({"type": "real", "low": 0, "high": 1}, Real(0, 1)),
        ({"mixed": ["binary", {"type": "real", "low": 0, "high": 1},
                    {"type": "categorical", "k": 3}]}, MIXED),
    ],
)  # fmt: skip
def test_a_config_writes_a_space(given, space):
    assert as_space(given) == space


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("bits", "should be real, binary"),
        (3, "should be real, binary"),
        ("categorical", "needs k"),
        ({"type": "categorical", "k": 1}, "at least 2"),
        ({"type": "binary", "k": 2}, "has no key 'k'"),
        ({"type": "real", "low": 1, "high": 0}, "below high"),
        ({"type": "real", "low": "0"}, "should be a number"),
        ({"type": "mixed", "columns": "binary"}, "list the space of each column"),
        ({"mixed": []}, "is empty"),
        ({"mixed": [{"mixed": ["real"]}]}, "a column should be"),
    ],
)
def test_a_misspelt_space_is_refused(given, text):
    with pytest.raises(ValueError, match=text):
        as_space(given)


@pytest.mark.parametrize(
    ("space", "x", "text"),
    [
        (Binary(), [[0, 1], [0.5, 1]], r"row 1, column 0 .*is 0.5, but binary events hold 0 and 1"),
        (Categorical(3), [[0, 2], [1, 3]], r"row 1, column 1 .*is 3, .*from 0 to 2; of 4 .* 1 are"),
        (Categorical(3), [[0.0, 0.5]], "is 0.5"),
        (Real(0, 1), [[0.0], [-0.5]], "is -0.5, but events are real from 0 to 1"),
        (Binary(), [[float("nan")]], "is nan"),
        (Mixed((Binary(), Real())), [[2.0, 9.0]], "column 0 .*is 2, but binary"),
        (Mixed((Binary(), Real())), [[1.0]], "have 2 columns"),
    ],
)
def test_the_first_number_outside_is_named(space, x, text):
    with pytest.raises(ValueError, match=text):
        space.check(torch.tensor(x))
    with pytest.raises(DataError, match=text):
        loaded(torch.tensor(x), space=space)


def test_data_have_the_type_of_their_space():
    bits = torch.tensor([[0, 1], [1, 1], [0, 0], [1, 0]])
    assert loaded(bits, space=Binary()).x.dtype == torch.float32
    data = loaded(bits.double(), space=Categorical(2))
    assert (data.x.dtype, data.held_out.dtype) == (torch.int64, torch.int64)
    assert data.bounds.dtype == torch.float32
    assert data.to(torch.device("cpu")).space == Categorical(2)
    assert data.warnings == ()


def test_a_dataset_declares_its_space():
    class Bits:
        space = Binary()

        def __call__(self):
            return torch.tensor([[0, 1], [1, 1], [0, 0], [1, 0]])

    data = loaded(Bits())
    assert data.space == Binary()
    assert data.warnings == ()


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_whole_numbers_become_real_ones_with_a_warning(dtype):
    (text,) = loaded(torch.ones(4, 2, dtype=dtype)).warnings
    assert "set data.space to real, binary" in text
    assert loaded(torch.ones(4, 2, dtype=dtype), space=Real()).warnings == ()
    assert loaded(torch.ones(4, 2)).warnings == ()
