"""The distribution is found by its entry point, and what it offers is there."""

from importlib import import_module
from importlib.metadata import entry_points

import ebmcore_tempering
from ebmcore_tempering.plugin import ebmcore_samplers


def test_the_entry_point_is_installed():
    (point,) = entry_points(group="ebmcore.v1", name="tempering")
    assert point.value == "ebmcore_tempering.plugin"
    assert point.dist.name == "ebmcore-tempering"


def test_every_target_is_there():
    for target in ebmcore_samplers().values():
        module, attribute = target.split(":")
        assert isinstance(getattr(import_module(module), attribute), type)


def test_every_public_name_is_there():
    for name in ebmcore_tempering.__all__:
        assert getattr(ebmcore_tempering, name).__name__ == name
