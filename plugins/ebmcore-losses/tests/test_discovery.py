"""The distribution is found by its entry point, and what it offers is there."""

from importlib import import_module
from importlib.metadata import entry_points

from ebmcore_losses.plugin import ebmcore_losses


def test_the_entry_point_is_installed():
    (point,) = entry_points(group="ebmcore.v1", name="losses")
    assert point.value == "ebmcore_losses.plugin"
    assert point.dist.name == "ebmcore-losses"


def test_every_target_is_there():
    for target in ebmcore_losses().values():
        module, attribute = target.split(":")
        assert callable(getattr(import_module(module), attribute))
