"""The kinds of offer: the word for one, for many, and the hook that offers them."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of component that a plugin can offer."""

    name: str  # in messages and on the command line
    hook: str
    key: str  # in a config, dotted within a section, or in the file of a sweep
    is_list: bool = False  # whether the config's key may hold several
    is_map: bool = False  # whether it holds several, each under a name of its own


KINDS = {  # the components of a run
    kind.name: kind
    for kind in (
        Kind("energy", "ebmcore_energies", "energy"),
        Kind("network", "ebmcore_networks", "networks", is_map=True),
        Kind("sampler", "ebmcore_samplers", "sampler"),
        Kind("chains", "ebmcore_chains", "chains"),
        Kind("loss", "ebmcore_losses", "loss", is_list=True),
        Kind("monitor", "ebmcore_monitors", "monitors", is_list=True),
        Kind("callback", "ebmcore_callbacks", "callbacks", is_list=True),
        Kind("dataset", "ebmcore_datasets", "data"),
        Kind("transform", "ebmcore_transforms", "data.transform", is_list=True),
        Kind("optimizer", "ebmcore_optimizers", "optimizer"),
        Kind("lr_scheduler", "ebmcore_lr_schedulers", "lr_scheduler"),
    )
}
LAUNCHER = Kind("launcher", "ebmcore_launchers", "launcher")  # starts runs
TRACKER = Kind("tracker", "ebmcore_trackers", "tracking", is_list=True)  # follows runs
OFFERED = {**KINDS, LAUNCHER.name: LAUNCHER, TRACKER.name: TRACKER}  # the components
COMMAND = Kind("command", "ebmcore_commands", "")  # of the command line; no config names it
