"""The repository's promises: its layout, its plugins' imports, its lists, no merge conflicts."""

import ast
import importlib
import re
import subprocess
import tomllib

import pytest

import ebmcore
from ebmcore import hooks
from ebmcore.cli.parts.catalog import describe_component
from ebmcore.kinds import OFFERED
from ebmcore.plugins.names import CORE_COMMANDS
from ebmcore.plugins.suggestions import KNOWN, KNOWN_COMMANDS
from support import ROOT

PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
EXAMPLE = ROOT / "examples" / "ebmcore-example-plugin"

CONFLICT = re.compile(rb"^(?:<{7}|[|]{7}|={7}|>{7})(?: .*)?\r?$", re.MULTILINE)

# beside `ebmcore` itself, modules of the core that plugins may import: the names in `__all__`, or,
# where there is none, those without an underscore
FACES = (
    *("ebmcore.checkpoint", "ebmcore.cli", "ebmcore.config", "ebmcore.data"),
    *("ebmcore.distributed", "ebmcore.errors"),
    *("ebmcore.kinds", "ebmcore.masking", "ebmcore.plugins", "ebmcore.runner", "ebmcore.runs"),
    *("ebmcore.sampling", "ebmcore.terminal", "ebmcore.testing", "ebmcore.trackers"),
    "ebmcore.train",
)
TRIED_FROM_INSIDE = ["ebmcore-sweep"]  # whose tests look at the core's files and servers, too


def imports(file):
    """Yield the modules that a file imports, a type checker's own imports included."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


def modules_of(requirements):
    return {word.split(">")[0].replace("-", "_") for word in requirements}


def names_from_the_core(file):
    """Yield the names that a file imports from the core, each after its module."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ebmcore":
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((a.name, "") for a in node.names if a.name.startswith("ebmcore."))


def public(module):
    """Return the names that a module of the core shows to plugins."""
    face = importlib.import_module(module)
    return set(getattr(face, "__all__", [name for name in vars(face) if name[0] != "_"]))


@pytest.mark.plugins
@pytest.mark.parametrize("name", FACES)
def test_a_public_module_has_the_names_it_lists(name):
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", [])
    assert len(set(listed)) == len(listed)
    assert all(getattr(module, each) is not None for each in listed)


@pytest.mark.plugins
@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_plugins_import_the_cores_public_names_alone(folder):
    package = folder.name.replace("-", "_")
    required = modules_of(project(folder)["dependencies"])
    tried = required | modules_of(project(folder).get("optional-dependencies", {}).get("test", []))
    files = [*(folder / package).rglob("*.py")]
    if folder.name not in TRIED_FROM_INSIDE:
        files += (folder / "tests").rglob("*.py")
    for file in files:
        for module, name in names_from_the_core(file):
            assert module in ("ebmcore", *FACES), f"{file} imports the core's private {module}"
            assert not name or name in public(module), f"{file}: {module} has no public {name}"
        for name in imports(file):
            root = name.split(".")[0]
            theirs = root.startswith("ebmcore_") and root != package
            there = tried if folder / "tests" in file.parents else required
            assert not theirs or root in there, f"{file}: {name}"


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_every_plugin_is_a_distribution_of_one_manner(folder):
    found = project(folder)
    package = folder.name.replace("-", "_")
    assert found["name"] == folder.name
    assert list(found["entry-points"]) == ["ebmcore.v1"]
    assert len(found["entry-points"]["ebmcore.v1"]) == 1
    assert "ebmcore>=0.1,<0.2" in found["dependencies"]
    assert (folder / package / "py.typed").exists()
    assert (folder / "README.md").read_text().startswith(f"# {folder.name}\n")
    assert list((folder / "tests").glob("test_*.py"))


@pytest.mark.parametrize("folder", [ROOT, *PLUGINS, EXAMPLE], ids=lambda folder: folder.name)
def test_every_distribution_names_its_licence_and_home(folder):
    found = project(folder)
    assert (found["license"], found["license-files"]) == ("MIT", ["LICENSE"])
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert found["urls"]["Repository"] == "https://github.com/ebmcore/ebmcore"
    pythons = [f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)]
    assert set(pythons) <= set(found["classifiers"])
    assert len((folder / "pyproject.toml").read_text().splitlines()) <= 45 or folder == ROOT


def test_requirements_dev_lists_every_distribution():
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    listed = [line.removeprefix("-e ") for line in lines if line.startswith("-e ")]
    assert listed == [".", *(f"plugins/{folder.name}" for folder in PLUGINS)]


@pytest.mark.plugins
def test_known_parts_are_those_that_our_distributions_offer():
    ours = {folder.name for folder in PLUGINS}
    offered = {
        (component.kind, component.name): component.plugin.distribution
        for component in ebmcore.Host.discover().components()
        if component.plugin.distribution in ours
    }
    assert offered == KNOWN


@pytest.mark.plugins
def test_known_commands_are_those_that_ours_offer():
    ours = {folder.name for folder in PLUGINS}
    offered = {
        component.name: component.plugin.distribution
        for component in ebmcore.Host.discover().components("command")
        if component.plugin.distribution in ours
    }
    known = {name: kit for name, kit in KNOWN_COMMANDS.items() if kit in ours}
    assert offered == known
    assert not CORE_COMMANDS & known.keys()


def test_every_kind_has_its_hook_and_decorator():
    for kind in OFFERED.values():
        assert callable(getattr(hooks, kind.hook))
        assert callable(getattr(ebmcore, kind.name))


def test_public_names():
    assert ebmcore.__all__ == sorted(ebmcore.__all__)
    for name in ebmcore.__all__:
        assert getattr(ebmcore, name) is not None
    assert set(ebmcore.__all__) <= set(dir(ebmcore))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ebmcore.nothing


@pytest.mark.parametrize("name", ["Group", "resume_seeds", "run_seeds"])
def test_a_name_that_left_the_core_says_where_it_is(name):
    with pytest.raises(AttributeError, match=f"ebmcore_sweep.{name} .*pip install ebmcore-sweep"):
        getattr(ebmcore, name)
    assert name not in dir(ebmcore)


def test_the_version_is_said_once_and_the_same():
    assert project(ROOT)["version"] == ebmcore.__version__


def test_the_example_in_the_hooks_docstring_is_good():
    (code,) = re.findall(r"( {4}from ebmcore import hookimpl\n.*)", hooks.__doc__, re.DOTALL)
    names: dict = {}
    exec("\n".join(line[4:] for line in code.splitlines()), names)
    assert names["ebmcore_samplers"]() == {"langevin": "ebmcore_langevin.kernels:Langevin"}


def test_no_file_is_too_long():
    long = {
        str(file.relative_to(ROOT)): count
        for folder in ("ebmcore", "plugins")
        for file in (ROOT / folder).rglob("*.py")
        if "tests" not in file.parts and (count := len(file.read_text().splitlines())) > 400
    }
    assert not long


@pytest.mark.parametrize("end", ["", "\r"])
@pytest.mark.parametrize("line", ["<" * 7 + " ours", "|" * 7, "=" * 7, ">" * 7 + " theirs"])
def test_a_line_that_marks_a_merge_conflict_is_recognised(line, end):
    assert CONFLICT.search(f"above\n{line}{end}\nbelow\n".encode())
    assert not CONFLICT.search(f"above\n {line}{end}\n=={line}\n".encode())


def test_no_tracked_file_holds_a_merge_conflict():
    if not (ROOT / ".git").exists():
        pytest.skip("the tree isn't a git checkout, so nothing says which files are tracked")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60
    ).stdout.decode()
    files = [ROOT / name for name in listed.split("\0") if name]
    assert ROOT / "README.md" in files
    marked = [
        f"{file.relative_to(ROOT)}:{data[: found.start()].count(10) + 1}"
        for file in files
        if file.is_file() and (found := CONFLICT.search(data := file.read_bytes()))
    ]
    assert not marked, f"merge-conflict markers, which git left there: {marked}"


@pytest.mark.plugins
def test_every_part_of_ours_describes_itself_and_its_keys():
    host = ebmcore.Host.discover()
    for component in host.components():
        if component.plugin.distribution not in {folder.name for folder in PLUGINS}:
            continue
        found = describe_component(host, component.kind, component.full_name)
        assert len(found["doc"].splitlines()) >= 3, component.full_name
        package = component.target.partition(".")[0]
        assert found["import"].startswith(f"from {package} import "), component.full_name
        names: dict[str, object] = {}
        exec(found["import"], names)  # the line is Python, and leads to the part
        assert component.load() in names.values(), component.full_name
        for key in found["keys"]:
            assert key["description"], f"{component.full_name}: {key['name']}"


def test_tests_lie_in_rooms_and_stay_small():
    files = list((ROOT / "tests").rglob("*.py"))
    assert len(files) > 90
    rooms = {room.name.removesuffix(".py") for room in (ROOT / "ebmcore").iterdir()}
    for file in files:
        text, room = file.read_text(), file.relative_to(ROOT / "tests").parts[0]
        assert file.name in ("conftest.py", "record_bits.py") or room in {
            *rooms,
            "support",
            "whole",
        }
        assert len(text.splitlines()) < 300, file
        assert len(list(file.parent.glob("*.py"))) <= 15, file.parent
        for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE):
            assert len(name) < 60, f"{file}: {name}"
