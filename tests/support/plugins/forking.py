"""A launcher for tests: each task is a fork of the process that starts it, which is warm."""

import os
import signal
import sys

from ebmcore import launcher


class Fork:
    """A fork, while it runs and when it has ended."""

    def __init__(self, pid):
        self.pid = pid
        self.code = None

    def poll(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def stop(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


@launcher
class forking:  # noqa: N801 (named as on the command line)
    """Start each task as a fork; only safe where nothing has started a thread."""

    def start(self, task):
        pid = os.fork()
        if pid:
            return Fork(pid)
        code = 1
        try:
            code = obey(task)
        finally:
            os._exit(code)

    def close(self):
        pass


def obey(task):
    """Do what the command line says, in this process; return the exit code."""
    from ebmcore.cli.main import main

    assert task.argv[1:3] == ("-m", "ebmcore")
    os.environ.update(task.env)
    log = os.open(task.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    sys.argv = ["ebmcore", *task.argv[3:]]
    try:
        main()
    except SystemExit as asked:
        return asked.code or 0
    return 0
