"""The plugin is found, and offers its launcher and its commands."""

import subprocess
import sys

import ebmcore_sweep
import pytest

import ebmcore


def test_it_is_discovered():
    (plugin,) = [p for p in ebmcore.Host.discover().plugins if p.found.name == "sweep"]
    assert (plugin.status, plugin.reason) == ("ok", "")


def test_what_it_offers():
    host = ebmcore.Host.discover()
    offered = {
        (c.kind, c.name): c.load()
        for kind in ("launcher", "command")
        for c in host.components(kind)
        if c.plugin.name == "sweep"
    }
    assert sorted(offered) == [
        ("command", "runs compare"), ("command", "seeds"), ("command", "sweep"),
        ("launcher", "local"),
    ]  # fmt: skip
    assert all(callable(part) for part in offered.values())


def test_public_names():
    assert ebmcore_sweep.__all__ == sorted(ebmcore_sweep.__all__)
    for name in ebmcore_sweep.__all__:
        assert getattr(ebmcore_sweep, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ebmcore_sweep.nothing


def test_finding_it_imports_nothing_heavy():
    code = "import ebmcore_sweep.plugin, sys; print({'optuna', 'numpy', 'torch'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
