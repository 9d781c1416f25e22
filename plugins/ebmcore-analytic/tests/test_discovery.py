"""The distribution is found by its entry point, and what it offers is there and documented."""

import inspect
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points

import pytest
from ebmcore_analytic.plugin import ebmcore_energies

MODULE = "ebmcore_analytic.plugin"


def test_the_entry_point_is_installed():
    (point,) = entry_points(group="ebmcore.v1", name="analytic")
    assert point.value == MODULE
    assert point.dist.name == "ebmcore-analytic"


@pytest.mark.parametrize(("name", "target"), ebmcore_energies().items())
def test_each_target_is_a_documented_class(name, target):
    module, attribute = target.split(":")
    found = getattr(import_module(module), attribute)
    assert inspect.isclass(found)
    assert found.name == name
    for key in inspect.signature(found).parameters:
        assert re.search(rf"^ +{key}: \S", inspect.getdoc(found), re.MULTILINE), key


def test_the_package_gives_its_public_names():
    package = import_module("ebmcore_analytic")
    assert [getattr(package, name).__name__ for name in package.__all__] == package.__all__
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        package.Nothing  # noqa: B018 (the access is what raises)


def test_discovery_does_not_import_torch():
    code = f"import sys, {MODULE}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
