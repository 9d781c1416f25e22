"""Real tracking servers to be stopped and frozen, and what MLflow must hold in the end."""

import contextlib
import http.client
import http.server
import itertools
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path


def wait_until(true, seconds=240, what="it"):
    """Wait for something to become true; fail when it doesn't."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def say(text):
    """Report a figure; pytest shows it with -rP."""
    sys.stdout.write(f"{text}\n")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return opened.getsockname()[1]


class Server:
    """A real `mlflow server` with one worker, over a sqlite file."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.txt").open("a") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                stdout=log,
                stderr=log,
                start_new_session=True,  # a group of its own, with the worker in it
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            )
        wait_until(self.is_well, what="mlflow server")

    def is_well(self):
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.process.wait()


REFUSAL = b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "an ugly name"}'


class Forgetful(http.server.BaseHTTPRequestHandler):
    """A door to a server that does what it is asked, and says 500 each third time all the same.

    Metrics that hold the words `refused` are answered as a request that is wrong.
    """

    protocol_version = "HTTP/1.1"
    port = 0
    batches = 0
    refused = b""

    def _pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        logs = self.path.endswith("/runs/log-batch")
        if self.refused and logs and self.refused in body:
            return self._answer(REFUSAL, 400, "application/json")
        inner = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
        inner.request(self.command, self.path, body, headers)
        answer = inner.getresponse()
        content, status = answer.read(), answer.status
        inner.close()
        if logs:
            type(self).batches += 1
            if self.batches % 3 == 0:
                content, status = b"{}", 500
        return self._answer(content, status, answer.getheader("Content-Type") or "text/plain")

    def _answer(self, content, status, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = _pass_on  # noqa: N815 (the names that http.server looks for)

    def log_message(self, *arguments):
        pass


class Keeps(http.server.BaseHTTPRequestHandler):
    """A tracking server of one run, which keeps what it was sent and says where files are to go."""

    protocol_version = "HTTP/1.1"
    heard: list[tuple[str, str | None, bytes]]  # the path, the Authorization, the body
    place = "mlflow-artifacts:/1/{run}/artifacts"
    redirect = ""  # where every call is led on to
    run = "a" * 32

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.heard.append((self.path, self.headers.get("Authorization"), body))
        found = json.dumps(self._found(urllib.parse.urlsplit(self.path).path)).encode()
        self.send_response(307 if self.redirect else 200)
        if self.redirect:
            self.send_header("Location", f"{self.redirect}{self.path}")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    def _found(self, path):
        place = self.place.replace("{run}", self.run)
        if "/experiments/" in path:
            top = place.removesuffix(f"/{self.run}/artifacts")
            inner = {"experiment_id": "1", "name": "bare", "artifact_location": top}
            return {"experiment": {**inner, "lifecycle_stage": "active"}}
        if path.endswith(("/runs/create", "/runs/get")):
            info = {"run_id": self.run, "run_uuid": self.run, "experiment_id": "1"}
            info |= {"status": "RUNNING", "artifact_uri": place, "lifecycle_stage": "active"}
            return {"run": {"info": info, "data": {}}}
        return {}

    do_GET = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving(handler, **fields):
    """Serve with a handler; yield the address and the handler's class."""
    handler = type(handler.__name__, (handler,), {"heard": [], **fields})
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    # its default of half a second is how long each `shutdown` would wait
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}", handler
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def recorded(run_dir, file="metrics.jsonl"):
    """Count every (metric, step, value) of metrics.jsonl that MLflow can hold."""
    found = Counter()
    for line in (Path(run_dir) / file).read_text().splitlines():
        fields = json.loads(line)
        step = fields.pop("step")
        for name in ("epoch", "time"):
            del fields[name]
        found.update((name, step, value) for name, value in fields.items())
    return found


def held(client, run_id):
    """Count every (metric, step, value) in MLflow."""
    names = client.get_run(run_id).data.metrics
    return Counter(
        (name, value.step, value.value if math.isfinite(value.value) else str(value.value))
        for name in names
        for value in client.get_metric_history(run_id, name)
    )


def step_seconds(run_dir, since=0.0, until=math.inf):
    """Return the times between two lines of metrics.jsonl in seconds, the longest last."""
    lines = map(json.loads, (Path(run_dir) / "metrics.jsonl").read_text().splitlines())
    times = [line["time"] for line in lines if since <= line["time"] <= until]
    return sorted(b - a for a, b in itertools.pairwise(times))


def mlflow_facts(runs):
    """Return what the one run.json says of MLflow, empty as long as there is none."""
    for file in Path(runs).glob("*/run.json"):
        return json.loads(file.read_text()).get("mlflow") or {}
    return {}
