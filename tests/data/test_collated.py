"""A torch Dataset becomes what `default_collate` makes of all its items."""

import pytest
import torch
from torch.utils._pytree import tree_flatten
from torch.utils.data import Dataset, default_collate

import ebmcore.data.collated
from ebmcore.data.collated import collated

X = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))


class Items(Dataset):
    def __init__(self, item):
        self.item = item

    def __len__(self):
        return 200

    def __getitem__(self, i):
        return self.item(i)


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(lambda i: X[i], id="tensors"),
        pytest.param(lambda i: (X[i].numpy(), i), id="arrays and labels"),
        pytest.param(lambda i: {"x": X[i], "y": float(i)}, id="mappings"),
        pytest.param(lambda i: 1 if i < 150 else 2.5, id="whole numbers, then others"),
        pytest.param(lambda i: X[i].double() if i == 170 else X[i], id="one wider"),
        pytest.param(lambda i: {"x": X[i], "name": str(i)}, id="words"),
    ],
)
def test_items_are_collated_as_all_at_once(item, monkeypatch):
    monkeypatch.setattr(ebmcore.data.collated, "AT_ONCE", 60)
    found, form = tree_flatten(collated(Items(item)))
    wanted, wanted_form = tree_flatten(default_collate([item(i) for i in range(200)]))
    assert form == wanted_form
    for one, other in zip(found, wanted, strict=True):
        assert type(one) is type(other)
        if isinstance(one, torch.Tensor):
            assert one.dtype == other.dtype
            assert torch.equal(one, other)
        else:
            assert one == other


def test_items_of_another_shape_are_named_by_their_place(monkeypatch):
    monkeypatch.setattr(ebmcore.data.collated, "AT_ONCE", 60)
    with pytest.raises(RuntimeError, match=r"\[1, 2\] at entry 190"):
        collated(Items(lambda i: X[i : i + 1, : 2 if i == 190 else 3]))
