import pytest
import torch

from ebmcore import Binary, Categorical, DataError, Experiment, Real
from ebmcore.data.parts import RowsInParts
from ebmcore.monitoring.other_points import MOST, read_other


def data_of(x, **known):
    energy = torch.nn.Linear(2, 1)
    return Experiment(data=x, energy=energy, loss=lambda energy, x: x.sum(), **known).data


@pytest.fixture
def doubled():
    """Data whose transform doubles them."""
    return data_of(torch.arange(12.0).reshape(6, 2), transforms=[lambda x: 2 * x], holdout=0.5)


def test_other_points_are_mapped_as_the_data_were(doubled):
    x = torch.tensor([[1.0, 2.0], [3.0, 5.0], [0.0, 0.0]])
    found, (y, mask) = read_other(doubled, lambda: (x, torch.tensor([0, 1, 0])))
    assert torch.equal(found, 2 * x)
    assert y.tolist() == [0, 1, 0]
    assert mask is None


def test_masks_come_along():
    counts = torch.tensor([[True, False], [True, True]])
    events = {"x": torch.ones(2, 2), "mask": counts}
    own = {"x": torch.randn(5, 2), "lengths": torch.tensor([1, 2, 2, 2, 2])}
    found, (y, mask) = read_other(data_of(own), lambda: events)
    assert y is None
    assert torch.equal(mask, counts)
    assert found.tolist() == [[1, 0], [1, 1]]


def test_points_that_are_drawn_are_the_same_each_time(doubled):
    def drawn():
        return torch.randn(4, 2)

    before = torch.get_rng_state()
    assert torch.equal(read_other(doubled, drawn)[0], read_other(doubled, drawn)[0])
    assert torch.equal(torch.get_rng_state(), before)


class Bits:
    """Bits, as the class says."""

    space = Binary()

    def __call__(self):
        return torch.ones(3, 2)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: torch.ones(3, 5), r"has shape \[5\], and one of this run's data has \[2\]"),
        (lambda: torch.tensor([[torch.nan, 1.0]]), "NaN"),
        (
            lambda: torch.tensor([[1.0, torch.nan]]),
            "mask, lengths or NaN.*this run's data have none",
        ),
        (lambda: torch.ones(0, 2), "no points"),
        (lambda: {"x": torch.ones(3, 2), "lengths": [1, 2, 2]}, "this run's data have none"),
        (Bits(), "events are binary, and this run's are real"),
    ],
    ids=["shape", "nan", "padding", "none", "mask", "space"],
)
def test_points_that_do_not_fit_are_refused(doubled, other, message):
    with pytest.raises(DataError, match=message):
        read_other(doubled, other)


class Endless(RowsInParts):
    """More rows than fit, of which none may be read."""

    shape, dtype = torch.Size((MOST // 2 + 1, 2)), torch.float32

    def __getitem__(self, rows):
        assert rows.stop == 0
        return torch.zeros(0, 2)


def test_more_points_than_memory_holds_are_refused_unread(doubled):
    class Stored:
        def read_in_parts(self):
            return Endless()

        def __call__(self):
            raise MemoryError

    with pytest.raises(DataError, match="has 67108865 events of 2 numbers; at most 134217728"):
        read_other(doubled, Stored())


def test_points_outside_of_the_space_are_refused():
    tokens = data_of(torch.tensor([[0, 1], [2, 1]]), space=Categorical(3))
    assert read_other(tokens, lambda: torch.tensor([[2, 2]]))[0].tolist() == [[2, 2]]
    with pytest.raises(DataError, match="3"):
        read_other(tokens, lambda: torch.tensor([[2, 3]]))
    bounded = data_of(torch.rand(5, 2), space=Real(0.0, 1.0))
    with pytest.raises(DataError, match="2"):
        read_other(bounded, lambda: torch.tensor([[0.5, 2.0]]))
