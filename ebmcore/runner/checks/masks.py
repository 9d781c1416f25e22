"""Masks of the data: every part that sees their events must see which steps count."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from ebmcore.data.load import Data
from ebmcore.sampling import MASK, conditions_of, takes_mask
from ebmcore.train.components import LossTerm, MonitorEntry, Parts

_GIVE = (
    'a dataset gives one as {"x": x, "mask": mask}, or with "lengths"; a .npz or .pt file as an '
    "array of that name beside the events"
)


def check_masks(parts: Parts, refuse: Callable[[str, str], NoReturn]) -> list[str]:
    """Refuse a mask that isn't there or that nothing uses; return warnings of monitors without."""
    label, taken = parts.label("energy"), conditions_of(parts.energy)
    if parts.data.mask is None:
        if taken is not None and MASK in taken.required:
            refuse("energy", f"{label} requires a `mask`, and the data have none: {_GIVE}")
        for term in parts.losses:
            if MASK in term.required:
                refuse("loss", f"{term.label} asks for a `mask`, and the data have none: {_GIVE}")
        return []
    if takes_mask(parts.energy):
        for term in parts.losses:
            if lacking := _lacks(term):
                refuse(
                    "loss",
                    f"{term.label} calls the energy and doesn't take {lacking}, so the padding of "
                    "the data would count in it: take another loss, such as "
                    "contrastive_divergence, or name the slot and pass it to the energy",
                )
    elif not any(MASK in term.required for term in parts.losses):
        refuse(
            "energy",
            f"the data have a mask, and {label} takes none, so their padding would count: take an "
            "energy whose forward takes `mask`, such as lstm, or cut or fill the events and leave "
            "the mask out of the data" + _whence(parts.data),
        )
    return [text for entry in parts.monitors for text in mask_warnings(entry, parts.data)]


def mask_warnings(entry: MonitorEntry, data: Data) -> list[str]:
    """Warn of a monitor that doesn't say that it takes masks, `takes_mask = True`."""
    monitor = getattr(entry.function, "func", entry.function)
    if data.mask is None or getattr(monitor, "takes_mask", False):
        return []
    return [
        f"{entry.label} doesn't declare `takes_mask`, so the padding of the data, which is 0, may "
        "count in its numbers"
    ]


def _whence(data: Data) -> str:
    return f". The mask is of NaN: {data.ended_by_nan}" if data.ended_by_nan else ""


def _lacks(term: LossTerm) -> str:
    """Name the slots that a loss of the energy needs, to tell padding from events."""
    pairs = (("x", MASK), ("x_neg", "mask_neg"))
    needed = [mask for events, mask in pairs if events in term.slots and mask not in term.slots]
    return " and ".join(f"`{mask}`" for mask in needed) if "energy" in term.slots else ""
