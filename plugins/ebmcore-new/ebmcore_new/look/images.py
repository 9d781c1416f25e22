"""Looks at a folder of images."""

from __future__ import annotations

from pathlib import Path

from ebmcore_datasets.survey import survey_images

from ebmcore_new.look.seen import Key, Seen
from ebmcore_new.look.words import counted, scalar, several

_SIDE = 32  # of images that are scaled down
_LARGEST = 64  # side of images that are trained on as they are


def look_at_images(path: Path) -> Seen:
    """Look at the images below a folder. Raises DataError."""
    found = survey_images(path.expanduser())
    keys = [Key("type", "images"), Key("path", scalar(str(path)))]
    (short, long), *others = found.sizes
    event = (short, long)
    if others or long > _LARGEST:
        side = min(_SIDE, short)
        event = (side, side)
        sizes = f"from {short}×{long} to {others[-1][0]}×{others[-1][1]}" if others else (
            f"{short}×{long}"
        )  # fmt: skip
        why = f"the images' sizes are {sizes}; a small square trains in minutes"
        keys.append(Key("size", str(side), why))
    channels = 3 if found.coloured else 1
    if found.coloured:
        keys.append(Key("colour", "rgb", "the images have colours"))
    if found.see_through:
        keys.append(Key("background", "255", "some are see-through; white shows behind them"))
    labels = len(found.folders) if len(found.folders) > 1 else None
    if labels:
        keys.append(Key("labels", "folders", f"each image lies in one of {labels} folders: "
                        f"{several(found.folders)}"))  # fmt: skip
        keys.append(Key("stratify", "true", "as large a share of each label is held out"))
    return Seen(
        kind="images",
        about=f"{counted(found.files, 'image')}, read as {channels}×{event[0]}×{event[1]}",
        rows=found.files,
        event=(channels, *event),
        keys=tuple(keys),
        labels=labels,
    )
