"""From what a dataset returns to tensors."""

import pytest
import torch
from torch.nn import Linear
from torch.utils.data import IterableDataset, TensorDataset

from ebmcore import DataError, Transform
from ebmcore.config import Loader
from ebmcore.data.load import load_data
from ebmcore.data.streamed import stream_data
from ebmcore.data.transformed import transform_data
from ebmcore.data.transforms import Transforms
from ebmcore.monitoring.view import make_view


def load(source, holdout=0.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return load_data(source, holdout=holdout, generator=generator, dtype=dtype)


def stream(source):
    generator = torch.Generator().manual_seed(0)
    dtype, loader = torch.float32, Loader(workers=0, prefetch=2)
    return stream_data(source, loader=loader, seed=0, holdout=0.0, generator=generator, dtype=dtype)


def test_the_split_is_a_partition():
    x = torch.arange(100.0)[:, None]
    data = load((x, torch.arange(100)), holdout=0.25)
    assert (len(data.x), len(data.held_out)) == (75, 25)
    assert sorted([*data.x[:, 0].tolist(), *data.held_out[:, 0].tolist()]) == list(range(100))
    assert torch.equal(data.x[:, 0].long(), data.y)
    again = load((x, torch.arange(100)), holdout=0.25)
    assert torch.equal(data.x, again.x)


def test_a_stratified_split_holds_out_a_share_of_each_label():
    y = torch.tensor([0] * 60 + [7] * 10 + [3] * 30)
    x = torch.arange(100.0)[:, None]

    def split(**options):
        generator = torch.Generator().manual_seed(1)
        return load_data((x, y), holdout=0.2, generator=generator, dtype=x.dtype, **options)

    data, plain = split(stratify=True), split()
    assert [int((data.held_out_y == label).sum()) for label in (0, 7, 3)] == [12, 2, 6]
    for found in (data, plain):
        both = torch.cat([found.x, found.held_out]).flatten()
        assert torch.equal(both.sort().values, x.flatten())
        labels = torch.cat([found.y, found.held_out_y])
        assert torch.equal(labels, y[both.long()])
        assert (len(found.x), len(found.held_out)) == (80, 20)
    with pytest.raises(DataError, match=r"one whole number as label of each point; found none"):
        load_data(x, holdout=0.2, generator=torch.Generator(), dtype=x.dtype, stratify=True)


def test_all_forms_of_data():
    x = torch.rand(10, 2)
    for source in (x, x.tolist(), x.numpy(), lambda: x, TensorDataset(x), (x,)):
        assert torch.equal(load(source).x, x)
    pair = load(TensorDataset(x, torch.arange(10)))
    assert pair.y.tolist() == list(range(10))
    assert load(torch.arange(5)).event_shape == (1,)
    assert load(torch.arange(5)).x.dtype == torch.float32


def test_the_range_is_elementwise_and_a_dataset_may_know_better():
    x = torch.tensor([[0.0, 5.0], [2.0, -1.0]])
    assert load(x).bounds.tolist() == [[0.0, -1.0], [2.0, 5.0]]

    class Known:
        bounds = torch.tensor([[-9.0, -9.0], [9.0, 9.0]])

        def __call__(self):
            return x

        def log_prob(self, x):
            return x.sum(1)

    data = load(Known())
    assert data.bounds.tolist() == [[-9.0, -9.0], [9.0, 9.0]]
    assert data.source.log_prob(x).tolist() == [5.0, 1.0]


@pytest.mark.parametrize("read", [load, stream], ids=["memory", "stream"])
def test_columns_have_the_names_that_the_dataset_gives(read):
    class Table(TensorDataset):
        columns = None

    table = Table(torch.rand(9, 2))
    assert read(table).columns is None
    table.columns = ["age", "dose"]
    found = read(table)
    assert (found.columns, found.warnings) == (("age", "dose"), ())
    table.columns = ("age",)
    found = read(table)
    assert found.columns is None
    assert found.warnings == (
        "the dataset's `columns` has 1 names, and an event has shape [2]; they are left out",
    )


def test_columns_are_named_through_transforms():
    class Shorter(Transform):
        def shape(self, event_shape):
            return (event_shape[0] - 1,)

        def __call__(self, x):
            return x[:, 1:]

    class Named(Shorter):
        def columns(self, names):
            return names[1:]

    class Mixes(Transform):
        def columns(self, names):
            return None

        def __call__(self, x):
            return x.cumsum(1)

    class Table(TensorDataset):
        columns = ("age", "dose", "sex")

    data = load(Table(torch.rand(9, 3)), holdout=0.2)

    def columns(*transforms):
        changed = transform_data(data, Transforms(transforms), torch.Generator())
        return make_view(Linear(1, 1), changed, None, None, torch.Generator(), None).columns

    assert columns(torch.exp) == ("age", "dose", "sex")
    assert columns(Named(), torch.exp) == ("dose", "sex")
    assert columns(Shorter(), torch.exp) is None
    assert columns(Mixes(), torch.exp) is None


def test_data_is_drawn_in_the_runs_dtype():
    data = load(lambda: torch.full((3, 1), 0.1), dtype=torch.float64)
    assert data.x[0, 0].item() == 0.1
    assert torch.get_default_dtype() == torch.float32


class Endless(IterableDataset):
    def __iter__(self):
        return iter([])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (torch.zeros(0, 2), "has no points"),
        (torch.tensor(1.0), "has no points"),
        (torch.tensor([[1.0, 2.0], [float("inf"), 1.0]]), "row 1 of the data .* 1 of 2 rows"),
        ((torch.zeros(3, 1), torch.zeros(2)), r"x has shape \(3, 1\), its labels \(2,\)"),
        (Endless(), "IterableDataset"),
        (torch.ones(2, 1) * 1j, "complex numbers"),
        ("words", "got str"),
        (lambda: object(), "got object"),
    ],
)
def test_bad_data_is_refused(source, message):
    with pytest.raises(DataError, match=message):
        load(source)
