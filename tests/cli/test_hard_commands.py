"""The command line where plugins, names, streams and files are as awkward as they get."""

import json
import os
import subprocess
import sys

import pytest

PART = "\nfrom ebmcore import loss\n@loss\ndef gap(energy, x):\n    '''Ünlike.'''\n    return 0\n"


def refused(done, *texts):
    """Hold a command to one message and exit code 2."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    for text in texts:
        assert text in done.stderr


def test_writes_to_the_descriptor_do_not_spoil_the_document(tmp_path, ebmcore_command):
    (tmp_path / "loud.py").write_text(
        "import os, sys\nos.write(1, b'one\\n')\nos.system('echo two')\nprint('three')\n"
        "print('four', file=sys.__stdout__)" + PART
    )
    done = ebmcore_command("components", "loss", "-p", "loud.py", "--json")
    assert "loud:gap" in {c["full_name"] for c in json.loads(done.stdout)}
    assert {"one", "two", "three", "four"} <= set(done.stderr.split())


def test_a_document_without_any_standard_error(tmp_path):
    (tmp_path / "loud.py").write_text("print('three')" + PART)
    command = f"{sys.executable} -m ebmcore components loss -p loud.py --json 2>&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "loud:gap" in {c["full_name"] for c in json.loads(done.stdout)}


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_plugin_that_ends_the_program(tmp_path, arguments, ebmcore_command):
    (tmp_path / "exits.py").write_text(
        "import sys\nfrom ebmcore import energy\nclass Meta(type):\n"
        "    @property\n    def __signature__(cls): sys.exit(0)\n"
        "@energy\nclass q(metaclass=Meta): pass\n"
    )
    done = ebmcore_command("show", "energy", "exits:q", "-p", "exits.py", *arguments)
    assert done.returncode == 1
    assert "the command was ended by SystemExit: 0 (" in done.stderr
    assert "exits.py:5" in done.stderr
    if arguments:
        assert "SystemExit: 0" in json.loads(done.stdout)["error"]


def test_a_stream_that_holds_ascii_alone(tmp_path, fresh_command):
    (tmp_path / "mine.py").write_text(PART, encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = ("components", "loss", "-p", "mine.py")
    done = fresh_command(*command, env=environment)
    assert done.returncode == 0, done.stderr
    assert "?nlike." in done.stdout
    found = json.loads(fresh_command(*command, "--json", env=environment).stdout)
    assert "Ünlike." in {c["summary"] for c in found}


LONG = "n" * 300


@pytest.mark.parametrize("name", [f"{LONG}.npz", "/proc/x.npz", "folder.npz"])
def test_a_file_that_cannot_be_written(tmp_path, name, ebmcore_command):
    (tmp_path / "folder.npz").mkdir()
    why = "is no plain file" if name == "folder.npz" else "can't be written: "
    refused(ebmcore_command("sample", "nowhere", "-o", name), name, why)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.npz"]


def test_looking_whether_a_file_can_be_written_leaves_it(tmp_path, ebmcore_command):
    (tmp_path / "old.npz").write_bytes(b"old")
    for name in ("old.npz", "new.npz"):
        refused(ebmcore_command("sample", "nowhere", "--force", "-o", name), "nowhere")
    assert [p.name for p in tmp_path.iterdir()] == ["old.npz"]
    assert (tmp_path / "old.npz").read_bytes() == b"old"


@pytest.mark.plugins
def test_names_of_new_plugins(tmp_path, ebmcore_command):
    new = ("plugins", "new", "--kind", "energy")
    refused(ebmcore_command(*new, LONG), "can't write", "too long")
    refused(ebmcore_command(*new, "n" * 250), "can't write", "too long")
    refused(ebmcore_command(*new, "Tests"), "would be imported as 'tests'")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "facts",
    [
        {"plugins": [{"distribution": "a", "sha256": None}], "versions": {}},
        {"plugins": [{"distribution": "a", "version": 1, "sha256": 5}], "versions": {}},
        {"plugins": [], "versions": {}, "metrics": None},
        {"plugins": [], "versions": {}, "metrics": "word"},
        {"plugins": [], "versions": {}, "metrics": [["a", 1]]},
        {"plugins": [], "versions": "word"},
        {"plugins": None, "versions": {}},
        [],
        "[" * 100_000,
    ],
)
def test_a_run_json_that_is_none(tmp_path, facts):
    from typer.testing import CliRunner

    from ebmcore.cli.main import app

    text = facts if isinstance(facts, str) else json.dumps(facts)
    (tmp_path / "run.json").write_text(text)
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    done = CliRunner().invoke(app, ["runs", "diff", ".", "."])
    assert done.exit_code == 2, done.exception
    assert done.stderr == ".: no run directory (no readable run.json)\n"


def test_a_dry_run_compares_versions(tmp_path, config, ebmcore_command):
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    (tmp_path / "run.json").write_text(
        json.dumps({"plugins": [], "versions": {"torch": "0.0"}, "metrics": {}})
    )
    command = ("run", "config.yaml", "--dry-run", "--json", "--versions")
    done = ebmcore_command(*command, "refuse")
    refused(done, "torch was 0.0 when this run was made, and is ")
    warned = json.loads(ebmcore_command(*command, "warn").stdout)
    assert warned["status"] == "FITS"
    assert warned["warnings"][0].startswith("torch was 0.0 when this run was made")
    assert json.loads(ebmcore_command(*command, "ignore").stdout)["warnings"] == []
