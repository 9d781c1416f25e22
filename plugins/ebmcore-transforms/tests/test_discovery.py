"""The distribution is found by its entry point, and what it offers is there."""

from importlib import import_module
from importlib.metadata import entry_points

import ebmcore_transforms
from ebmcore_transforms import plugin


def test_the_entry_point_is_installed():
    (point,) = entry_points(group="ebmcore.v1", name="transforms")
    assert point.value == "ebmcore_transforms.plugin"
    assert point.dist.name == "ebmcore-transforms"


def test_every_target_and_public_name_is_there():
    offered = set()
    for target in plugin.ebmcore_transforms().values():
        module, attribute = target.split(":")
        assert isinstance(getattr(import_module(module), attribute), type)
        offered.add(attribute)
    assert offered == set(ebmcore_transforms.__all__)
    for name in ebmcore_transforms.__all__:
        assert getattr(ebmcore_transforms, name).__name__ == name
