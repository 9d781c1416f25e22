"""Points of another dataset as a run's energy sees them: its space, its shape, its transforms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore.contracts import Conditions
from ebmcore.data.load import Data, load_data, space_of
from ebmcore.errors import DataError
from ebmcore.train.rng import own_global_stream

MOST = 2**27  # numbers: half a GiB of float32, which transforms copy once or twice
_CPU = torch.device("cpu")


def read_other(data: Data, source: Any) -> tuple[Tensor, Conditions]:
    """Read all points of another dataset, and map them as those of the run's data were mapped.

    The dataset is any that `load_data` takes. Returns x (n, *event), as the energy takes it, on the
    device of the data, with its labels and its mask. Raises DataError when its events have another
    space or shape than the run's have before transforms, aren't in that space, have a mask or NaN
    where the run's have none, or are more than `MOST` numbers; of rows in files, before these are
    read.
    """
    transforms = data.transforms
    space = data.space if transforms is None else transforms.spaces[0]
    shape = data.event_shape if transforms is None else transforms.shapes[0]
    declared = space_of(source, None)
    if declared is not None and type(declared) is not type(space):
        raise DataError(
            f"the other dataset's events are {declared.kind}, and this run's are {space.kind}"
        )
    with own_global_stream(0, _CPU):  # a dataset that draws from it gives the same points again
        found = load_data(
            source, holdout=0.0, generator=Generator(), dtype=data.bounds.dtype, space=space,
            most=MOST,
        )  # fmt: skip
    if found.event_shape != shape:
        raise DataError(
            f"an event of the other dataset has shape {list(found.event_shape)}, and one of this "
            f"run's data has {list(shape)}"
        )
    if found.mask is not None and data.mask is None:
        raise DataError(
            "the other dataset has steps that don't count (a mask, lengths or NaN), and this run's "
            "data have none"
        )
    x = found.x if transforms is None else transforms(found.x, mask=found.mask)
    return x.to(data.x.device), Conditions(_on(found.y, data.x), _on(found.mask, data.x))


def _on(rows: Tensor | None, like: Tensor) -> Tensor | None:
    return None if rows is None else torch.as_tensor(rows).to(like.device)
