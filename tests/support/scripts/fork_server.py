"""Runs Python commands for the price of one start: each in a fork of this process, which is warm.

Reads lines of JSON from standard input: what stands after `python` on a command line, the folder,
the variables, what comes first on the path, the files that take the two streams, how a stream is
broken, and the seconds after which it is ended. Answers each with a line, the exit code; or, for a
command that is to go on meanwhile, its pid, and its exit code when a later line asks for it. A fork
ends as an interpreter does, its threads joined and its exit functions called, but tears down no
modules: that would copy all that it shares with this process. So exit codes, messages and files are
a fresh process's own; what is imported is not, and modules are named here that most commands
import.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import site
import sys
import sysconfig
import threading
import weakref
from pathlib import Path

for name in (
    "ebmcore.cli.main",
    "ebmcore.runner.evaluation",
    "ebmcore.runner.session",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "PIL.Image",
    "pydantic.dataclasses",
    "pytest",
    "rich.console",
    "rich.table",
    "scipy.stats",
    "torch._dynamo",
):
    importlib.import_module(name)
for name in ("ebmcore_sweep.seeds.api", "ebmcore_testing.report"):  # they may not be installed
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
sys.modules["PIL.Image"].preinit()
for plugin in sys.modules["ebmcore.plugins.find"].find_installed():  # ours, which don't change
    if plugin.target.startswith("ebmcore_"):
        importlib.import_module(plugin.target)
SITE = Path(sysconfig.get_path("purelib"))
READ = {file.name for file in SITE.glob("*.pth")}


def serve() -> dict | None:
    """Fork for each line; return the request in the fork, and None when there are no more."""
    for line in sys.stdin:
        request = json.loads(line)
        if "ended" in request:
            answer = exit_code(request["ended"], os.WNOHANG)
        else:
            for name in {*request["imports"]} - sys.modules.keys():
                importlib.import_module(name)
                gc.freeze()
            child = os.fork()
            if child == 0:
                return request
            answer = child if request["goes_on"] else exit_code(child, 0)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    return None


def exit_code(child: int, options: int) -> int | str:
    """Return a fork's exit code, an empty text while it lives."""
    pid, status = os.waitpid(child, options)
    return os.waitstatus_to_exitcode(status) if pid else ""


def broken(how: str) -> int:
    """Return a descriptor of a file, or one that nobody reads any more."""
    if how.startswith("/"):
        return os.open(how, os.O_WRONLY | os.O_NOCTTY)
    reader, writer = os.pipe() if how == "gone" else os.openpty()
    os.close(reader)
    return writer


def obey(request: dict) -> None:
    """Do what Python does with these arguments."""
    signal.alarm(request["timeout"])
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    written = os.O_WRONLY | os.O_APPEND
    for descriptor, (file, flags) in enumerate(
        ((os.devnull, os.O_RDONLY), (request["stdout"], written), (request["stderr"], written))
    ):
        os.dup2(os.open(file, flags), descriptor)
    for descriptor, how in request["broken"].items():
        if how != "closed":
            os.dup2(broken(how), int(descriptor))
    for descriptor in (d for d, how in request["broken"].items() if how == "closed"):
        os.close(int(descriptor))
        name = {"1": "stdout", "2": "stderr"}[descriptor]
        setattr(sys, name, None)
        setattr(sys, f"__{name}__", None)
    sys.stdin = open(0, closefd=False, encoding="utf-8")  # noqa: SIM115 (as long as the process)
    sys.path[:1] = [*request["path"], request["cwd"]]
    for name in {file.name for file in SITE.glob("*.pth")} - READ:  # an editable install since
        site.addpackage(str(SITE), name, None)
    importlib.invalidate_caches()
    option, what, *others = request["arguments"]
    if option == "-m":
        sys.argv = [what, *others]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [option, *others]
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


def code(request: dict) -> int:
    """Obey; return the exit code."""
    try:
        obey(request)
    except SystemExit as asked:
        if asked.code is None or isinstance(asked.code, int):
            return asked.code or 0
        sys.stderr.write(f"{asked.code}\n")
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def flushed(code: int) -> int:
    """Write what the streams hold; return the code, or 120 as Python does where that fails."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            code = 120
    return code


for finalizer in list(weakref.finalize._registry):  # torch's, which take its operators down
    finalizer.atexit = False
gc.collect()
gc.freeze()  # no collection in a fork walks, and thereby copies, what was there before it
asked = serve()
if asked is not None:
    ended = code(asked)
    threading._shutdown()
    atexit._run_exitfuncs()
    os._exit(flushed(ended))
