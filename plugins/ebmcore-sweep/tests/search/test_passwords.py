"""The password of a sweep's storage: on no command line, in no file, and on no screen."""

import json
import os
import shlex
import time
from pathlib import Path

import pytest
from ebmcore_sweep import join_sweep
from ebmcore_sweep.search.definition import read_sweep
from ebmcore_sweep.storage.store import join_hint, named_url, variables
from ebmcore_sweep.storage.study import secrets_of, with_secrets

from ebmcore.errors import ConfigError, EbmError
from support import PARTS, sweeping

PASSWORD = "hunter2-of-nobody"
URL = f"postgresql://me:{PASSWORD}@host:5432/sweeps"
MASKED = "postgresql://***@host:5432/sweeps"

# a database with a password, of sqlite's file
DIALECT = f"""
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

class Vault(SQLiteDialect_pysqlite):
    supports_statement_cache = True

    def create_connect_args(self, url):
        assert url.password == "{PASSWORD}"
        return [f"/{{url.database}}"], {{"timeout": 60, "check_same_thread": False}}
"""
# sitecustomize runs it in the workers, COMMAND in the commands that the test itself gives
REGISTER = """
from sqlalchemy.dialects import registry
registry.register("vault", "vault_dialect", "Vault")
"""
COMMAND = f"""
import sys
sys.path.insert(0, "path")
{REGISTER}
sys.argv[0] = "ebmcore"
from ebmcore.cli.main import main
main()
"""


def test_a_masked_url_is_the_environments(monkeypatch):
    with pytest.raises(EbmError, match="its password is masked; set EBMCORE_SWEEP_STORAGE to the"):
        named_url(MASKED)
    monkeypatch.setenv("EBMCORE_SWEEP_STORAGE", URL)
    assert named_url(MASKED) == URL
    assert named_url("sqlite:////a/b.db") == "sqlite:////a/b.db"
    with pytest.raises(EbmError, match="its password is masked"):
        named_url("postgresql://***@other/sweeps")
    assert variables(URL) == {"EBMCORE_SWEEP_STORAGE": URL}
    assert variables("sqlite:////a/b.db") == {}


def test_the_hint_can_be_pasted():
    assert join_hint("sqlite:////data/my runs/a.db") == (
        "to help: ebmcore sweep --join 'sqlite:////data/my runs/a.db'"
    )
    assert shlex.split(join_hint("sqlite:////it's/a.db"))[-1] == "sqlite:////it's/a.db"
    assert join_hint(URL) == (
        "to help, with EBMCORE_SWEEP_STORAGE set to the storage's whole url: "
        f"ebmcore sweep --join '{MASKED}'"
    )


def test_what_stands_in_the_storage_has_no_password(config):
    config["tracking"] = {"uri": f"http://me:{PASSWORD}@mlflow"}
    sweep = read_sweep(
        {
            "base": config,
            "space": {"optimizer.lr": sweeping.RATES},
            "objective": {"metric": "loss"},
            "budget": {"trials": 1},
            "storage": URL,
            "launcher": {"type": "ray", "address": f"ray://me:{PASSWORD}@head:10001"},
        }
    )
    assert PASSWORD in str(sweep.source.tree)
    assert PASSWORD not in json.dumps(sweep.definition())
    assert sweep.definition()["base"]["tracking"] == {"uri": "http://***@mlflow"}
    assert read_sweep(sweep.definition()).question() == sweep.question()


def test_a_worker_that_is_started_has_the_base_as_it_was(config, monkeypatch):
    config["tracking"] = {"uri": f"http://me:{PASSWORD}@mlflow"}
    config["monitors"][0]["of"] = f"https://host/?token={PASSWORD}"
    sweep = read_sweep(
        {"base": config, "space": {"seed": [1]}, "objective": {"metric": "x"},
         "budget": {"trials": 1}}
    )  # fmt: skip
    read = read_sweep(sweep.definition())
    assert with_secrets(read) is read
    for name, value in secrets_of(sweep).items():
        monkeypatch.setenv(name, value)
    assert with_secrets(read).base.tree == sweep.base.tree
    other = read_sweep({**sweep.definition(), "base": {"tracking": {"uri": "http://***@other"}}})
    assert with_secrets(other) is other  # another place gets none of it
    monkeypatch.setenv("EBMCORE_SWEEP_SECRETS", "[")
    assert with_secrets(read) is read


def test_a_choice_with_a_password_is_refused(config):
    choices = [f"http://me:{PASSWORD}@host/a.csv", "b.csv"]
    with pytest.raises(ConfigError, match="holds a password, which every trial would record"):
        read_sweep({"base": config, "space": {"data.path": choices},
                    "objective": {"metric": "x"}, "budget": {"trials": 1}})  # fmt: skip


def test_a_driver_does_not_tell_it(capsys):
    with pytest.raises(EbmError) as raised:
        join_sweep(f"nodriver://me:{PASSWORD}@host/x", say=print)
    assert PASSWORD not in str(raised.value) + capsys.readouterr().err


def lines():
    """Return the command line of every process that can be seen."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield file.read_bytes().decode(errors="replace")
        except OSError:
            continue


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads command lines in /proc")
def test_a_whole_sweep_leaves_it_nowhere(config, forks, tmp_path, monkeypatch):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(REGISTER)
    (tmp_path / "path" / "vault_dialect.py").write_text(DIALECT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    url = f"vault://me:{PASSWORD}@host/{tmp_path}/study.db"
    file = sweeping.write(sweeping.plain(config), storage=url, budget={"trials": 2})
    seen = set()
    process = forks.begin("-c", COMMAND, "sweep", file, cwd=tmp_path, env=dict(os.environ))
    while process.poll() is None:
        seen |= {line for line in lines() if "--worker" in line and str(tmp_path) in line}
        time.sleep(0.1)
    said = "".join(process.communicate())
    process.close()
    assert process.returncode == 0, said
    assert seen
    assert not any(PASSWORD in line for line in seen)
    assert all(f"vault://***@host/{tmp_path}/study.db" in line for line in seen)
    secret = [
        str(path.relative_to(tmp_path))
        for path in tmp_path.rglob("*")
        if path.is_file() and PASSWORD.encode() in path.read_bytes()
    ]
    assert sorted(path for path in secret if "__pycache__" not in path) == [
        "path/vault_dialect.py", "tune.yaml",
    ]  # fmt: skip
    commands = [json.loads(path.read_text())["command"] for path in Path("runs").glob("*/run.json")]
    assert sum("--worker" in command for command in commands) == 2

    # and the hint does what it says
    (hint,) = [line for line in said.splitlines() if "to help" in line]
    pasted = hint.partition("whole url: ")[2]
    program, *words = shlex.split(pasted)
    assert program == "ebmcore"
    whole = {**os.environ, "EBMCORE_SWEEP_STORAGE": url}
    done = forks.run("-c", COMMAND, *words, "-p", PARTS, cwd=tmp_path, env=whole)
    assert (done.returncode, done.stdout) == (0, "0 trials were done here\n"), done.stderr
