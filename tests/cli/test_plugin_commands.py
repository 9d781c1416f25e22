"""Commands that plugins offer: found without an import, listed, joined to groups, refused."""

import json
import os
import subprocess
import sys

import pytest
import typer.main
from typer.testing import CliRunner

from ebmcore import Host
from ebmcore.cli.main import app
from ebmcore.cli.plugin_commands.offers import missing_command
from ebmcore.plugins.names import CORE_COMMANDS
from ebmcore.plugins.suggestions import KNOWN_COMMANDS
from support import sites


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    made = sites.Site(tmp_path / "site")
    monkeypatch.syspath_prepend(str(made.folder))
    return made


@pytest.fixture
def call(site):
    """Call the command line in this process."""
    return lambda *words: CliRunner().invoke(app, words)


def imported_by(site, *arguments):
    """Return what the command line answers, and the modules that it imported."""
    code = (
        "import sys\nfrom ebmcore.cli.main import app\n"
        f"try:\n    app({list(arguments)!r})\nexcept SystemExit:\n    pass\n"
        "print('IMPORTED', *sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(site.folder)},
    )
    *text, last = done.stdout.splitlines()
    return "\n".join(text), set(last.split()[1:])


def test_help_lists_a_command_and_imports_nothing_of_it(site):
    site.put("leaflet", {"leaflet": "site_leaflet.pages:leaflet"}, pages=sites.LEAFLET)
    text, imported = imported_by(site, "--help")
    assert "leaflet" in text
    assert "Write a page about a run." in text
    assert "second paragraph" not in text
    assert "site_leaflet.plugin" in imported
    assert not {"site_leaflet.pages", "torch", "numpy", "yaml", "pydantic"} & imported


def test_help_executes_no_package_of_a_command(site):
    site.put("deep", {"deep": "site_deep.sub.pages:leaflet"})
    sub = site.folder / "site_deep" / "sub"
    sub.mkdir()
    (sub / "__init__.py").write_text("raise SystemExit(9)\n")
    (sub / "pages.py").write_text(sites.LEAFLET)
    text, imported = imported_by(site, "--help")
    assert "Write a page about a run." in text
    assert "site_deep.sub" not in imported


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("pages:app", "Pages of many kinds."),
        ("pages:front", "Write the front page."),
        ("pages:nothing", ""),
        ("absent:front", ""),
        ("broken:front", ""),
    ],
)
def test_the_line_of_help_is_read_from_the_source(site, target, line):
    site.put("a", {"pages": f"site_a.{target}"}, pages=sites.APP, broken="def (:")
    text, _ = imported_by(site, "--help")
    (found,) = [row.split(maxsplit=1) for row in text.splitlines() if row.startswith("  pages")]
    assert found == ["pages", line][: 1 + bool(line)]


@pytest.mark.parametrize(
    "code", ["raise RuntimeError('bad')", "raise SystemExit(5)", "import nothing_there"]
)
def test_a_plugin_that_fails_does_not_break_the_help(site, call, code):
    site.put("bad", {"nowhere": "site_bad.pages:leaflet"}, code)
    site.put("good", {"leaflet": "site_good.pages:leaflet"}, pages=sites.LEAFLET)
    done = call("--help")
    assert done.exit_code == 0, done.stderr
    assert "leaflet" in done.stdout
    assert "nowhere" not in done.stdout
    done = call("nowhere")
    assert done.exit_code == 2
    assert "Plugin 'bad' (site-bad 1.5) is import_error" in " ".join(done.stderr.split())


@pytest.mark.parametrize("code", ["import os; os._exit(7)", "import time; time.sleep(600)"])
def test_a_plugin_without_commands_is_not_imported(site, code):
    site.put("leaflet", {"leaflet": "site_leaflet.pages:leaflet"}, pages=sites.LEAFLET)
    site.put("deadly", {})
    (site.folder / "site_deadly" / "plugin.py").write_text(code)
    text, imported = imported_by(site, "--help")
    assert "Write a page about a run." in text
    assert "site_deadly" not in imported


def test_a_plain_function_answers_as_the_cores_do(site, call):
    site.put("leaflet", {"leaflet": "site_leaflet.pages:leaflet"}, pages=sites.LEAFLET)
    done = call("leaflet", "mine")
    assert (done.exit_code, done.stdout) == (3, "a page about mine\n")
    done = call("leaflet", "mine", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (3, {"name": "mine"})
    done = call("leaflet", "silent")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    done = call("leaflet", "-h")
    assert "A second paragraph." in done.stdout


@pytest.mark.parametrize("name", ["refused", "lost"])
def test_its_errors_are_one_message_and_an_exit_code(site, call, name):
    site.put("leaflet", {"leaflet": "site_leaflet.pages:leaflet"}, pages=sites.LEAFLET)
    message = {"refused": "no such run: refused", "lost": "/nowhere/at/all: No such file"}[name]
    done = call("leaflet", name)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    done = call("leaflet", name, "--json")
    assert message in json.loads(done.stdout)["error"]


def test_its_mistake_is_shown_with_a_traceback(site, ebmcore_command):
    site.put("leaflet", {"leaflet": "site_leaflet.pages:leaflet"}, pages=sites.LEAFLET)
    done = ebmcore_command("leaflet", "mistaken", path=[site.folder])
    assert done.returncode == 1
    assert "KeyError: 'mine'" in done.stderr


def test_a_typer_app_is_a_group(site, call):
    site.put("pages", {"pages": "site_pages.pages:app"}, pages=sites.APP)
    assert call("pages", "front").stdout == "front\n"
    done = call("pages", "back")
    assert (done.exit_code, done.stderr) == (2, "there is no back page\n")
    assert "Write the front page." in call("pages", "--help").stdout


@pytest.mark.parametrize("group", ["plugins", "runs"])
def test_a_space_joins_a_group_of_the_core(site, call, group):
    site.put("leaflet", {f"{group} leaflet": "site_leaflet.pages:leaflet"}, pages=sites.LEAFLET)
    assert "a page about mine" in call(group, "leaflet", "mine").stdout
    assert "Write a page about a run." in call(group, "--help").stdout
    assert "Write a page about a run." not in call("--help").stdout
    assert call("leaflet", "mine").exit_code == 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("run", "offers the command 'run', which ebmcore has itself; rename it"),
        ("runs", "offers the command 'runs', which ebmcore has itself; rename it"),
        ("runs list", "offers the command 'runs list', which ebmcore has itself; rename it"),
        ("check", "offers the command 'check', which is ebmcore-testing's; rename it"),
        ("pages front", "no group 'pages'; groups: plugins, runs"),
        ("runs a b", "should be"),
        ("-leaflet", "should be"),
        ("a:b", "should be"),
        ("", "should be"),
        (7, "should be"),
    ],
)
def test_a_name_that_is_refused_is_its_plugins_failure(site, call, name, reason):
    site.put("bad", {name: "site_bad.pages:leaflet"}, pages=sites.LEAFLET)
    (found,) = [p for p in Host.discover().plugins if p.found.name == "bad"]
    assert found.status == "invalid"
    assert reason in found.reason
    assert call("run", "--help").exit_code == 0


def test_a_target_that_is_none_is_refused(site):
    site.put("bad", {"leaflet": "site_bad"})
    (found,) = [p for p in Host.discover().plugins if p.found.name == "bad"]
    assert "ebmcore_commands offers 'leaflet': 'site_bad'" in found.reason


def test_two_commands_of_one_name(site, call):
    site.put("first", {"leaflet": "site_first.pages:leaflet"}, pages=sites.LEAFLET)
    site.put("second", {"leaflet": "site_second.pages:leaflet"}, pages=sites.LEAFLET)
    done = call("leaflet", "mine")
    assert done.exit_code == 2
    assert (
        "command 'leaflet' is offered more than once; write one of first:leaflet, second:leaflet"
        in " ".join(done.stderr.split())
    )
    assert "a page about mine" in call("second:leaflet", "mine").stdout
    text = call("--help").stdout
    assert "first:leaflet" in text
    assert "second:leaflet" in text


def test_two_commands_of_one_name_in_a_group(site, call):
    site.put("first", {"runs leaflet": "site_first.pages:leaflet"}, pages=sites.LEAFLET)
    site.put("second", {"runs leaflet": "site_second.pages:leaflet"}, pages=sites.LEAFLET)
    said = " ".join(call("runs", "leaflet", "mine").stderr.split())
    assert "write one of first:leaflet, second:leaflet" in said
    assert "a page about mine" in call("runs", "first:leaflet", "mine").stdout


def test_a_command_that_cannot_be_loaded(site, call):
    site.put("bad", {"leaflet": "site_bad.pages:absent"}, pages=sites.LEAFLET)
    done = call("leaflet")
    assert done.exit_code == 2
    assert "command bad:leaflet: plugin 'bad' (site-bad 1.5) offers" in done.stderr


def test_what_is_offered_is_no_command(site, call):
    site.put("bad", {"leaflet": "site_bad.pages:x"}, pages="x = 3")
    done = call("leaflet")
    assert done.exit_code == 2
    assert "bad:leaflet" in done.stderr
    assert "neither a typer app nor a function" in done.stderr


def test_plugins_list_tells_of_commands(site, call):
    site.put("leaflet", {"leaflet": "site_leaflet.pages:leaflet"}, pages=sites.LEAFLET)
    (found,) = [
        p for p in json.loads(call("plugins", "list", "--json").stdout) if p["name"] == "leaflet"
    ]
    assert found["offers"] == {"command": ["leaflet"]}


@pytest.mark.parametrize("name", sorted(KNOWN_COMMANDS))
def test_a_known_command_names_what_to_install(name):
    group, _, word = name.rpartition(" ")
    assert missing_command(Host([]), group, word) == (
        f"no command {name!r}. Install it with: pip install {KNOWN_COMMANDS[name]}"
    )


def test_the_command_line_says_what_to_install(call, monkeypatch):
    monkeypatch.setitem(KNOWN_COMMANDS, "harvest", "ebmcore-harvest")  # which isn't installed
    done = call("harvest", "config.yaml", "--json")
    message = "no command 'harvest'. Install it with: pip install ebmcore-harvest"
    assert (done.exit_code, done.stderr.strip()) == (2, message)
    assert json.loads(done.stdout)["error"] == message


def test_an_unknown_command_is_a_usage_error(call):
    done = call("resme")
    assert done.exit_code == 2
    assert "No such command 'resme'. Did you mean 'resume'?" in done.stderr
    done = call("runs", "lost")
    assert "No such command 'lost'. Did you mean 'list'?" in done.stderr


def test_the_near_commands_are_the_plugins_too(site, call):
    site.put("leaflet", {"leaflet": "site_leaflet.pages:leaflet"}, pages=sites.LEAFLET)
    assert "Did you mean 'leaflet'?" in call("leaflit").stderr


def test_the_cores_commands_are_listed():
    root = typer.main.get_command(app)
    found = set()
    for name, command in root.commands.items():
        found |= {name, *(f"{name} {inner}" for inner in getattr(command, "commands", ()))}
    assert found == set(CORE_COMMANDS)


def test_the_cores_commands_find_no_plugin(site):
    site.put("leaflet", {"leaflet": "site_leaflet.pages:leaflet"}, pages=sites.LEAFLET)
    _, imported = imported_by(site, "run", "--help")
    assert "ebmcore.plugins.host" not in imported
