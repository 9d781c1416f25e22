"""The distribution is found by its entry point, and what it offers is there."""

from importlib import import_module
from importlib.metadata import entry_points

from ebmcore_langevin.plugin import ebmcore_samplers


def test_the_entry_point_is_installed():
    (point,) = entry_points(group="ebmcore.v1", name="langevin")
    assert point.value == "ebmcore_langevin.plugin"
    assert point.dist.name == "ebmcore-langevin"


def test_every_target_is_there():
    for target in ebmcore_samplers().values():
        module, attribute = target.split(":")
        assert isinstance(getattr(import_module(module), attribute), type)
