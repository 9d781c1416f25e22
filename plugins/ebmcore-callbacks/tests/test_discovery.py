"""The distribution is found by its entry point, and what it offers is there."""

from importlib import import_module
from importlib.metadata import entry_points

import ebmcore_callbacks
from ebmcore_callbacks import plugin


def test_the_entry_point_is_installed():
    (point,) = entry_points(group="ebmcore.v1", name="callbacks")
    assert point.value == "ebmcore_callbacks.plugin"
    assert point.dist.name == "ebmcore-callbacks"


def test_every_target_is_there():
    for target in plugin.ebmcore_callbacks().values():
        module, attribute = target.split(":")
        assert isinstance(getattr(import_module(module), attribute), type)
        assert attribute in ebmcore_callbacks.__all__
