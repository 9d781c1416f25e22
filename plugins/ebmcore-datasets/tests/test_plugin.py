import inspect
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points

import pytest

MODULE = "ebmcore_datasets.plugin"


def targets():
    mapping = import_module(MODULE).ebmcore_datasets()
    return [(name, *target.split(":")) for name, target in mapping.items()]


def test_the_entry_point_is_installed():
    (point,) = (p for p in entry_points(group="ebmcore.v1") if p.name == "datasets")
    assert point.value == MODULE
    assert point.dist.name == "ebmcore-datasets"
    assert point.load().ebmcore_datasets().keys() == {
        "binary_digits",
        "checkerboard",
        "digits",
        "eight_gaussians",
        "file",
        "gaussian_mixture",
        "images",
        "mnist",
        "moons",
        "pinwheel",
        "rings",
        "sines",
        "time_series",
        "two_spirals",
    }


@pytest.mark.parametrize(("name", "module", "attribute"), targets())
def test_each_target_is_a_documented_class(name, module, attribute):
    target = getattr(import_module(module), attribute)
    assert inspect.isclass(target)
    for key in inspect.signature(target).parameters:
        assert re.search(rf"^ +{key}: \S", inspect.getdoc(target), re.MULTILINE), key


def test_the_package_gives_its_public_names():
    package = import_module("ebmcore_datasets")
    assert [getattr(package, name).__name__ for name in package.__all__] == package.__all__
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        package.Nothing  # noqa: B018 (the access is what raises)


def test_discovery_does_not_import_torch():
    code = f"import sys, {MODULE}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
