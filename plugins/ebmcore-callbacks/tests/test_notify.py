"""Notification by real commands and a real server, within their time."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ebmcore_callbacks import Notify

WRITES = "import os, sys; open({!r}, 'w').write(os.environ['EBMCORE_STATUS'] + sys.stdin.read())"


@pytest.fixture
def server():
    """A server that keeps what it gets, answers with `code`, and waits `delay` seconds before."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.paths.append(self.path)
            self.server.release.wait(self.server.delay)
            self.send_response(self.server.code)
            if self.server.code == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *args):
            pass

    made = HTTPServer(("127.0.0.1", 0), Handler)
    made.got, made.paths, made.code, made.delay = [], [], 200, 0.0
    made.release = threading.Event()
    made.url = f"http://127.0.0.1:{made.server_port}/hook"
    thread = threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    made.release.set()
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_command_gets_the_end_of_the_run(run):
    file = run.dir / "told"
    notify = Notify(command=[sys.executable, "-c", WRITES.format(str(file))], timeout=30)
    run.step, run.metrics = 7, {"loss": float("nan"), "kl": 0.5}
    notify.on_error(run, ValueError("broken"))
    notify.on_end(run, "FAILED")
    text = file.read_text()
    assert text.startswith("FAILED{")
    message = json.loads(text.removeprefix("FAILED"))
    assert message == {
        "status": "FAILED",
        "run_dir": str(run.dir),
        "step": 7,
        "stopped": None,
        "error": "ValueError: broken",
        "metrics": {"loss": "nan", "kl": 0.5},
    }
    assert run.warnings == []


def test_an_address_gets_the_end_of_the_run(run, server):
    notify = Notify(url=server.url, when=["FINISHED"], timeout=30)
    notify.on_end(run, "KILLED")
    assert server.got == []
    run.stopped = "enough"
    notify.on_end(run, "FINISHED")
    assert json.loads(server.got[0])["stopped"] == "enough"
    assert run.warnings == []


def test_a_failure_is_a_warning(run, server):
    Notify(command=[sys.executable, "-c", "exit('no, not today')"], timeout=30).on_end(
        run, "KILLED"
    )
    Notify(command=["no-such-command-here"]).on_end(run, "FINISHED")
    server.code = 302
    Notify(url=server.url, timeout=30).on_end(run, "FINISHED")
    first, second, third = run.warnings
    assert f"notify: {sys.executable!r} was not notified" in first
    assert "ended with code 1: no, not today" in first
    assert "there is no command 'no-such-command-here' on the PATH" in second
    assert "HTTP Error 302" in third
    assert server.paths == ["/hook"]


def test_the_run_waits_no_longer_than_it_was_told(run, server):
    began = time.monotonic()
    file = run.dir / "late"
    late = f"import time; time.sleep(60); open({str(file)!r}, 'w')"
    Notify(command=[sys.executable, "-c", late], timeout=0.2).on_end(run, "FINISHED")
    server.delay = 60.0
    Notify(url=server.url, timeout=0.2).on_end(run, "FINISHED")
    assert time.monotonic() - began < 30
    first, second = run.warnings
    assert "took more than 0.2 s" in first
    assert "0.2 s" in second or "timed out" in second
    assert not file.exists()


def test_no_shell_reads_the_command(run):
    file = run.dir / "a b; touch c"
    notify = Notify(command=[sys.executable, "-c", WRITES.format(str(file))], timeout=30)
    notify.on_end(run, "FINISHED")
    assert [f.name for f in run.dir.iterdir()] == [file.name]


@pytest.mark.parametrize("to", [{"command": ["touch", "x"]}, {"url": "http://127.0.0.1:9/"}])
def test_a_config_of_a_stranger_notifies_nobody(run, monkeypatch, to):
    for name in ("run_command", "post"):
        monkeypatch.delattr(f"ebmcore_callbacks.notify.{name}")
    run.is_own = False
    notify = Notify(**to)
    notify.on_start(run)
    notify.on_end(run, "FINISHED")
    (warning,) = run.warnings
    assert "nobody is notified" in warning
    assert "it isn't known that you recorded it" in warning


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "a command or a url, one of them"),
        ({"command": ["a"], "url": "http://b"}, "one of them"),
        ({"command": []}, "should be a list of a program"),
        ({"command": ["./here.sh"]}, "depends on the folder that a run starts in"),
        ({"command": ["bin/here.sh"]}, "write an absolute path"),
        ({"url": "file:///etc/passwd"}, "should begin with https:// or http://"),
        ({"url": "https://"}, "and a host"),
    ],
)
def test_a_bad_place_is_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        Notify(**keys)


def test_a_resumed_run_notifies_only_its_own_user(tmp_path, monkeypatch):
    import ebmcore

    file = tmp_path / "told"
    config = {
        "data": {"type": "two_spirals", "n": 200},
        "energy": {"type": "mlp", "hidden": [8]},
        "loss": {"type": "denoising_score_matching", "sigma": 0.3},
        "train": {"steps": 4, "batch_size": 100, "checkpoint_every": "2 steps"},
        "callbacks": [
            {"type": "notify", "command": [sys.executable, "-c", WRITES.format(str(file))]}
        ],
        "tracking": "off",
    }
    config["callbacks"][0]["timeout"] = 30
    run = ebmcore.run(config, progress=False)
    assert file.read_text().startswith("FINISHED")

    def again():
        file.unlink(missing_ok=True)
        facts = json.loads((run.dir / "run.json").read_text())
        (run.dir / "run.json").write_text(json.dumps({**facts, "status": "KILLED"}))
        return ebmcore.resume(run.dir, progress=False)

    assert not [w for w in again().warnings if "notify" in w]
    assert file.exists()
    recorded = (run.dir / "config.yaml").read_text()
    (run.dir / "config.yaml").write_text(recorded.replace("EBMCORE_STATUS", "HOME"))
    assert [w for w in again().warnings if "nobody is notified" in w]
    assert not file.exists()
    (run.dir / "config.yaml").write_text(recorded)
    monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(tmp_path / "another user"))
    assert [w for w in again().warnings if "nobody is notified" in w]
    assert not file.exists()
