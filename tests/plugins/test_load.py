"""Loading, pass by pass, on distributions that really lie on the path."""

import sys

import pytest

from ebmcore import Host, PluginError
from ebmcore.plugins import Selection, Status, find
from ebmcore.plugins.select import select


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution on the path: its module, its metadata and its entry point."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def put(name, code, *, group="ebmcore.v1", point=None, requires=(), distribution=None):
        module = f"dist_{name}"
        (site / f"{module}.py").write_text(code)
        distribution = distribution or f"dist-{name}"
        info = site / f"{distribution.replace('-', '_')}-1.5.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", "Version: 1.5"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{point or name} = {module}\n")
        sys.modules.pop(module, None)
        return module

    return put


OFFER = """
from ebmcore import hookimpl

@hookimpl
def ebmcore_losses():
    return {"%s": "%s:target"}

def target(energy, x):
    return energy(x).mean()
"""


def plugin(host, name):
    (found,) = [p for p in host.plugins if p.found.name == name]
    return found


def test_a_good_plugin_is_found_without_an_import(install):
    module = install("good", OFFER % ("nice", "dist_good"))
    (found,) = [p for p in find() if p.name == "good"]
    assert (found.distribution, found.version, found.target) == ("dist-good", "1.5", "dist_good")
    assert module not in sys.modules


def test_a_good_plugin_offers_its_parts(install):
    install("good", OFFER % ("nice", "dist_good"))
    host = Host.discover()
    assert plugin(host, "good").status is Status.OK
    component = host.find("loss", "nice")
    assert component.full_name == "good:nice"
    assert component.load().__name__ == "target"
    assert host.find("loss", "good:nice") == component


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("import nowhere_at_all", Status.IMPORT_ERROR, "No module named 'nowhere_at_all'"),
        ("import sys; sys.exit(3)", Status.IMPORT_ERROR, "SystemExit: 3"),
        ("raise RuntimeError('boom')", Status.IMPORT_ERROR, "RuntimeError: boom (/"),
        ("def f(:", Status.IMPORT_ERROR, "SyntaxError"),
        ("x = 1", Status.INVALID, "no hook marked with @hookimpl"),
        (
            "from ebmcore import hookimpl\n@hookimpl\ndef ebmcore_energys(): return {}",
            Status.INVALID,
            "no hook 'ebmcore_energys'; did you mean 'ebmcore_energies'?",
        ),
        ("def ebmcore_losses(): return {}", Status.INVALID, "write @hookimpl above it"),
        (
            "from ebmcore import hookimpl\n@hookimpl\ndef ebmcore_losses(wrong): return {}",
            Status.INVALID,
            "wrong",
        ),
        (
            "from ebmcore import hookimpl\n@hookimpl\ndef ebmcore_losses(): return ['a']",
            Status.INVALID,
            "must return a mapping",
        ),
        (
            "from ebmcore import hookimpl\n@hookimpl\ndef ebmcore_losses(): return {'a': 'b'}",
            Status.INVALID,
            "want 'module:attribute'",
        ),
        (
            "from ebmcore import hookimpl\n@hookimpl\ndef ebmcore_losses(): raise OSError('disk')",
            Status.INVALID,
            "OSError: disk",
        ),
    ],
)
def test_one_plugins_failure_is_its_own_status(install, code, status, reason):
    install("bad", code)
    install("good", OFFER % ("nice", "dist_good"))
    host = Host.discover()
    found = plugin(host, "bad")
    assert found.status is status
    assert reason in found.reason
    assert plugin(host, "good").status is Status.OK


def test_ctrl_c_passes_through(install):
    install("bad", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Host.discover()


def test_another_api_version(install):
    install("future", OFFER % ("nice", "dist_future"), group="ebmcore.v9")
    found = plugin(Host.discover(), "future")
    assert found.status is Status.WRONG_API
    assert "hook API v9; this ebmcore has v1" in found.reason


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [
        ("no-such-thing>=2", "it isn't installed; mend it with: pip install 'no-such-thing>=2'"),
        ("pluggy>=99", "is installed; mend it with: pip install 'pluggy>=99'"),
    ],
)
def test_a_missing_requirement(install, requirement, reason):
    install("needy", "raise AssertionError('imported')", requires=[requirement])
    found = plugin(Host.discover(), "needy")
    assert found.status is Status.UNMET_REQUIREMENT
    assert reason in found.reason


def test_a_requirement_of_an_extra_is_no_requirement(install):
    install("good", OFFER % ("nice", "dist_good"), requires=["no-such-thing; extra == 'more'"])
    assert plugin(Host.discover(), "good").status is Status.OK


def test_two_distributions_of_one_plugin_name(install):
    install("one", OFFER % ("nice", "dist_one"), point="same")
    install("two", OFFER % ("nice", "dist_two"), point="same")
    found = [p for p in Host.discover().plugins if p.found.name == "same"]
    assert [p.status for p in found] == [Status.CONFLICT] * 2
    assert "claimed by dist-one 1.5, dist-two 1.5" in found[0].reason


def test_two_components_of_one_name(install):
    install("one", OFFER % ("nice", "dist_one"))
    install("two", OFFER % ("nice", "dist_two"))
    host = Host.discover()
    with pytest.raises(PluginError, match="write one of one:nice, two:nice"):
        host.find("loss", "nice")
    assert host.find("loss", "two:nice").plugin.name == "two"


def test_a_target_that_is_not_there_is_told_when_it_is_used(install):
    install("good", OFFER % ("nice", "dist_good:nothing"))
    host = Host.discover()
    assert plugin(host, "good").status is Status.OK
    with pytest.raises(
        PluginError, match=r"loss good:nice: plugin 'good' \(dist-good 1.5\) offers"
    ):
        host.find("loss", "nice").load()


def test_an_unknown_name_tells_of_plugins_that_failed(install):
    install("bad", "import nowhere_at_all")
    with pytest.raises(PluginError, match=r"Plugin 'bad' \(dist-bad 1.5\) is import_error"):
        Host.discover().find("loss", "something")


def test_two_hosts_do_not_meet(install, tmp_path):
    install("good", OFFER % ("nice", "dist_good"))
    file = tmp_path / "mine.py"
    file.write_text("from ebmcore import loss\n@loss\ndef mine(energy, x): return 0\n")
    one, two = Host.discover(Selection(files=(str(file),))), Host.discover()
    assert "mine" in {c.name for c in one.components("loss")}
    assert "mine" not in {c.name for c in two.components("loss")}


def test_selection(install):
    for name in ("one", "two"):
        install(name, OFFER % (name, f"dist_{name}"))
    env = {"EBMCORE_DISABLE_PLUGINS": "two, three"}
    chosen = Selection.from_options(["one", "no:four", "./x.py"], env)
    assert chosen == Selection(("one",), ("two", "three", "four"), ("./x.py",), ())
    status = {p.found.name: p.status for p in select(find(), chosen)}
    assert (status["one"], status["two"]) == (Status.OK, Status.BLOCKED)
    only = Selection.from_options([], {"EBMCORE_PLUGINS": "one"})
    status = {p.found.name: p.status for p in select(find(), only)}
    assert (status["one"], status["two"]) == (Status.OK, Status.NOT_SELECTED)


def test_a_plugin_that_must_load(install):
    install("bad", "import nowhere_at_all")
    with pytest.raises(PluginError, match="no plugin 'absent' is installed"):
        Host.discover().check(Selection(require=("absent",)))
    with pytest.raises(PluginError, match=r"plugin 'bad' .* is import_error"):
        Host.discover().check(Selection(require=("dist-bad",)))


def test_a_local_file(tmp_path):
    file = tmp_path / "random.py"  # named like a standard module
    file.write_text(
        "from ebmcore import loss\nfrom random import random\n"
        "@loss(name='other', order=2)\ndef mine(energy, x): return random()\n"
    )
    host = Host.discover(Selection(files=(str(file), str(file))))
    (component,) = [c for c in host.components("loss") if c.name == "other"]
    assert component.full_name == "random:other"
    assert component.load().order == 2
    assert len(component.plugin.sha256) == 64


@pytest.mark.parametrize(
    ("code", "reason"),
    [(None, "no such file"), ("def f(:", "SyntaxError"), ("x = 1", "nothing decorated")],
)
def test_a_local_file_that_does_not_load_is_an_error(tmp_path, code, reason):
    file = tmp_path / "mine.py"
    if code:
        file.write_text(code)
    selection = Selection(files=(str(file),))
    with pytest.raises(PluginError, match=reason):
        Host.discover(selection).check(selection)


@pytest.mark.parametrize("requirement", ["torch >>> 2 ???", "torch; nonsense == 3"])
def test_malformed_metadata_is_that_plugins_own_failure(install, requirement):
    install("bad", OFFER % ("nice", "dist_bad"), requires=[requirement])
    found = plugin(Host.discover(), "bad")
    assert found.status is Status.INVALID


@pytest.mark.parametrize("where", ["hook", "target"])
def test_an_exit_is_a_failure_wherever_it_is(install, where):
    code = "from ebmcore import hookimpl\nimport sys\n@hookimpl\ndef ebmcore_losses():\n    "
    install("bad", code + ("sys.exit(0)" if where == "hook" else "return {'a': 'dist_exits:x'}"))
    install("exits", "import sys; sys.exit(0)")
    host = Host.discover()
    if where == "hook":
        assert plugin(host, "bad").status is Status.INVALID
        assert "SystemExit: 0" in plugin(host, "bad").reason
    else:
        with pytest.raises(PluginError, match="SystemExit: 0"):
            host.find("loss", "a").load()


def test_a_file_named_like_a_plugin_harms_only_itself(install, tmp_path):
    install("good", OFFER % ("nice", "dist_good"))
    file = tmp_path / "good.py"
    file.write_text("from ebmcore import loss\n@loss\ndef mine(energy, x): return 0\n")
    selection = Selection(files=(str(file),))
    host = Host.discover(selection)
    installed, local = [p for p in host.plugins if p.found.name == "good"]
    assert (installed.status, local.status) == (Status.OK, Status.CONFLICT)
    with pytest.raises(PluginError, match="rename the file"):
        host.check(selection)


def test_two_copies_of_one_file_are_one_plugin(tmp_path):
    text = "from ebmcore import loss\n@loss\ndef mine(energy, x): return 0\n"
    files = [tmp_path / "a" / "same.py", tmp_path / "b" / "same.py"]
    for file in files:
        file.parent.mkdir()
        file.write_text(text)
    host = Host.discover(Selection(files=tuple(map(str, files))))
    assert host.find("loss", "mine").full_name == "same:mine"
    files[1].write_text(text + "\n")
    conflict = Host.discover(Selection(files=tuple(map(str, files))))
    assert "rename one" in conflict.plugins[-1].reason
