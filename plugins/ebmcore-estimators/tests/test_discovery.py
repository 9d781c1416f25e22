"""The distribution is found by its entry point, and what it offers is there."""

from importlib import import_module
from importlib.metadata import entry_points

import ebmcore_estimators
import pytest
from ebmcore_estimators.plugin import ebmcore_monitors


def test_the_entry_point_is_installed():
    (point,) = entry_points(group="ebmcore.v1", name="estimators")
    assert point.value == "ebmcore_estimators.plugin"
    assert point.dist.name == "ebmcore-estimators"


def test_every_name_is_there():
    for target in ebmcore_monitors().values():
        module, attribute = target.split(":")
        assert isinstance(getattr(import_module(module), attribute), type)
    for name in ebmcore_estimators.__all__:
        assert callable(getattr(ebmcore_estimators, name))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ebmcore_estimators.nothing
