"""The distribution is found by its entry point, and what it offers is there."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points

import ebmcore_sequence
import pytest
from ebmcore_sequence.plugin import ebmcore_energies


def test_the_entry_point_is_installed():
    (point,) = entry_points(group="ebmcore.v1", name="sequence")
    assert point.value == "ebmcore_sequence.plugin"
    assert point.dist.name == "ebmcore-sequence"


def test_every_target_is_there():
    assert ebmcore_energies().keys() == {"lstm", "gru", "transformer"}
    for target in ebmcore_energies().values():
        module, attribute = target.split(":")
        assert isinstance(getattr(import_module(module), attribute), type)


def test_the_package_gives_its_public_names():
    for name in ebmcore_sequence.__all__:
        assert getattr(ebmcore_sequence, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        ebmcore_sequence.Nothing  # noqa: B018 (the access is what raises)


def test_discovery_does_not_import_torch():
    code = "import sys, ebmcore_sequence.plugin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
