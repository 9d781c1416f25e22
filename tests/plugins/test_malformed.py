"""Plugins with wrong metadata, names or marks: each is told of by itself, and hides no other."""

import importlib.metadata
import json

import pytest

from ebmcore import Host, loss, monitor
from ebmcore.plugins import Selection, Status, find

HOOK = "from ebmcore import hookimpl\n@hookimpl\ndef ebmcore_losses(): return {%s}\n"
PART = "def target(energy, x): return energy(x).mean()\n"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Write modules and metadata into a folder on the path."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def put(name, code, points, *, metadata="Metadata-Version: 2.1\nName: {}\nVersion: 1.5\n"):
        (folder / f"{name}.py").write_text(code)
        info = folder / f"{name}-1.5.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(points)
        if metadata is not None:
            (info / "METADATA").write_text(metadata.format(name))
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)

    return put


def status(host, name):
    (found,) = [p for p in host.plugins if p.found.name == name]
    return found


def local(tmp_path, code, name="mine.py"):
    """Load one local file; return its plugin and the names of what it offers."""
    (tmp_path / name).write_text(code)
    host = Host.discover(Selection(files=(str(tmp_path / name),)))
    return host.plugins[-1], [c.name for c in host.components() if c.plugin.is_file]


def test_two_entry_points_to_one_module(site):
    points = "[ebmcore.v1]\none_of_two = mod_a\ntwo_of_two = mod_a\n"
    site("mod_a", HOOK % "'a': 'mod_a:target'" + PART, points)
    host = Host.discover()
    assert status(host, "one_of_two").status is Status.OK
    second = status(host, "two_of_two")
    assert second.status is Status.CONFLICT
    assert "the module 'mod_a' is plugin 'one_of_two' already" in second.reason
    assert host.find("loss", "a").full_name == "one_of_two:a"


NAMES = ["3", "[3]", "''", "'@q'", "'a:b'", "' a'", "'a\\n'", "None"]


@pytest.mark.parametrize("name", NAMES)
def test_a_hooks_name_that_cannot_stand_in_a_config(tmp_path, name):
    name = "(3,)" if name == "[3]" else name
    found, offers = local(tmp_path, HOOK % f"{name}: 'x:y'")
    assert found.status is Status.INVALID
    assert f"named {name}; a name should be" in found.reason
    assert offers == []


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_decorators_name_that_cannot_stand_in_a_config(tmp_path, name):
    code = f"from ebmcore import loss\n@loss(name={name})\n{PART}"
    found, offers = local(tmp_path, code)
    assert found.status is Status.INVALID
    assert f"named {name}; a name should be" in found.reason
    assert offers == []


def test_a_line_without_a_value_hides_nothing_else(site):
    site("mod_good", HOOK % "'a': 'mod_good:target'" + PART, "[ebmcore.v1]\ngood = mod_good\n")
    site("mod_other", "", "[console_scripts]\nno value here\n")
    points = "[ebmcore.v1]\nhalf\nwhole = mod_half\n"
    site("mod_half", HOOK % "'b': 'mod_half:target'" + PART, points)
    with pytest.raises(TypeError):
        importlib.metadata.entry_points()
    host = Host.discover()
    assert status(host, "good").status is Status.OK
    assert status(host, "whole").status is Status.OK
    assert status(host, "half").status is Status.INVALID
    assert status(host, "half").reason == "no '=' in the line 'half' of its entry_points.txt"
    assert "mod_other" not in {p.found.distribution for p in host.plugins}


def test_metadata_that_is_not_there_is_that_plugins_failure(site):
    points = "[ebmcore.v1]\nbare = mod_bare\n"
    site("mod_bare", HOOK % "'a': 'mod_bare:target'" + PART, points, metadata=None)
    site("mod_good", HOOK % "'a': 'mod_good:target'" + PART, "[ebmcore.v1]\ngood = mod_good\n")
    host = Host.discover()
    assert status(host, "good").status is Status.OK
    assert status(host, "bare").status is Status.INVALID
    assert "metadata can't be read" in status(host, "bare").reason


def test_a_hidden_distribution_offers_nothing(site, tmp_path, monkeypatch):
    site("mod_twice", "", "[ebmcore.v1]\nolder = mod_twice\n")
    newer = tmp_path / "newer" / "mod_twice-2.0.dist-info"
    newer.mkdir(parents=True)
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: mod_twice\nVersion: 2.0\n")
    monkeypatch.syspath_prepend(str(newer.parent))
    assert "older" not in {p.name for p in find()}


def test_two_parts_of_one_name_in_one_plugin(tmp_path):
    code = "from ebmcore import loss\n@loss(name='q')\ndef one(energy, x): return 0\n"
    found, offers = local(tmp_path, code + "@loss(name='q')\ndef two(energy, x): return 0\n")
    assert found.status is Status.INVALID
    assert "two parts of kind loss named 'q'" in found.reason
    assert offers == []


def test_an_object_is_offered_once():
    with pytest.raises(TypeError, match="'q' is offered as monitor 'q' already, and can't be loss"):

        @loss
        @monitor
        def q(view):
            return {}

    @loss
    class Parent:
        pass

    @loss
    class Child(Parent):
        pass

    assert Child.__ebmcore_offer__.name == "Child"


def test_what_cannot_be_decorated():
    from functools import partial

    with pytest.raises(TypeError, match="takes a class or a function; got 'q'"):
        loss("q")
    with pytest.raises(TypeError, match=r"has no name of its own; write loss\(name=…\)"):
        loss(partial(max, 1))


def test_objects_of_other_types_are_offered(tmp_path):
    code = """
import functools
from ebmcore import energy, loss

@loss
@functools.lru_cache
def cached(energy, x): return 0

def plain(energy, x, *, beta=1.0): return 0
bound = loss(name="bound")(functools.partial(plain, beta=2.0))

class Callable:
    def __call__(self, energy, x): return 0
called = loss(name="called")(Callable())
again = called

@loss
class Made:
    def __call__(self, energy, x): return 0
instance = Made()  # its class's mark is not its own
"""
    found, offers = local(tmp_path, code)
    assert found.status is Status.OK
    assert sorted(offers) == ["Made", "bound", "cached", "called"]


def test_a_hook_of_another_functions_name(tmp_path):
    code = "from ebmcore import hookimpl\n@hookimpl(specname='ebmcore_losses')\ndef my(): return "
    assert local(tmp_path, code + "{'a': 'x:y'}\n")[1] == ["a"]


def test_a_path_that_is_no_path(tmp_path, config, ebmcore_command):
    config["plugins"]["files"].append("a\0.py")
    (tmp_path / "c.json").write_text(json.dumps(config))
    done = ebmcore_command("run", "c.json", "--dry-run")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "holds the control character U+0000 (NUL)" in done.stderr
    assert Selection.from_options(["a\0.py"]).files
    (found,) = [plugin for plugin in find(["a\0.py"]) if plugin.is_file]
    assert found.fault == "'a\\x00.py' is no path to a file: embedded null byte"


def test_a_files_module_can_be_imported_by_its_name(tmp_path, monkeypatch):
    import importlib
    import sys

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    found, offers = local(tmp_path, f"from ebmcore import loss\n@loss\n{PART}", "my.v2 x.py")
    assert (found.found.name, offers) == ("my.v2 x", ["target"])
    name = found.module.__name__
    assert name.isidentifier()
    monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    assert importlib.import_module(name).target.__module__ == name
