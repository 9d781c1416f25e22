"""The recipe for sequences, of one length or of several."""

from __future__ import annotations

import math

from ebmcore_new.look.seen import Seen
from ebmcore_new.recipes.lines import Line, data_lines
from ebmcore_new.recipes.vectors import noise_levels

_WIDE = 128  # numbers of an event above which the network is wider


def sequences(seen: Seen) -> tuple[str, list[Line]]:
    """Return the recipe of examples/italy_power.yaml, with an lstm where lengths differ."""
    about = (
        "A network at several noise levels, E(x, t), trained by denoising; samples go down the "
        "levels from noise to data. "
    )
    if seen.ragged:
        about += "An lstm reads the steps that count and no padding."
        net = "{type: lstm, hidden: 64, layers: 1, outputs: 16}"
    else:
        width = 256 if math.prod(seen.event) <= _WIDE else 512
        about += (
            "An mlp learns short sequences faster than a transformer or an lstm, which can take "
            "its place as the net."
        )
        net = f"{{type: mlp, hidden: [{width}, {width}], activation: silu, outputs: 16}}"
    return about, [*data_lines(seen), *noise_levels(seen, net, "of the sequences")]
