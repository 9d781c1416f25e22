"""The distribution is found by its entry point, and what it offers is there."""

from importlib import import_module
from importlib.metadata import entry_points

import ebmcore_discrete
from ebmcore_discrete import plugin


def test_the_entry_point_is_installed():
    (point,) = entry_points(group="ebmcore.v1", name="discrete")
    assert point.value == "ebmcore_discrete.plugin"
    assert point.dist.name == "ebmcore-discrete"


def test_every_target_is_there():
    for offers in (plugin.ebmcore_energies, plugin.ebmcore_samplers, plugin.ebmcore_datasets,
                   plugin.ebmcore_monitors):  # fmt: skip
        for target in offers().values():
            module, attribute = target.split(":")
            assert isinstance(getattr(import_module(module), attribute), type)


def test_every_public_name_is_there():
    for name in ebmcore_discrete.__all__:
        assert getattr(ebmcore_discrete, name).__name__ == name
