"""The six kinds of component: the word for one, for many, and the hook that offers them."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """One of the six things that a plugin can offer."""

    name: str  # in messages and on the command line
    hook: str
    key: str  # in a config
    is_list: bool = False  # whether the config's key may hold several


KINDS = {
    kind.name: kind
    for kind in (
        Kind("energy", "ebmcore_energies", "energy"),
        Kind("sampler", "ebmcore_samplers", "sampler"),
        Kind("chains", "ebmcore_chains", "chains"),
        Kind("loss", "ebmcore_losses", "loss", is_list=True),
        Kind("monitor", "ebmcore_monitors", "monitors", is_list=True),
        Kind("dataset", "ebmcore_datasets", "data"),
    )
}
