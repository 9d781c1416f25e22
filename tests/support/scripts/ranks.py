"""Two and more ranks of one program, each in a process of its own that is forked from this one.

`python -c` of this text with PORT, RANKS and what stands after `python`; prints the exit codes.
"""

import json
import os
import runpy
import sys
import traceback


def rank(number, ranks, port, option, what, *arguments):
    """Do what Python does with these arguments, as one rank; return the exit code."""
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=port, RANK=str(number), LOCAL_RANK=str(number),
        WORLD_SIZE=str(ranks),
    )  # fmt: skip
    sys.argv = [what, *arguments]
    try:
        if option == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(what, run_name="__main__")
    except SystemExit as asked:
        return asked.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main(port, ranks, *command):
    """Fork the ranks, wait for all of them and print how each ended."""
    children = []
    for number in range(int(ranks)):
        child = os.fork()
        if child == 0:
            code = rank(number, int(ranks), port, *command)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        children.append(child)
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.stdout.write(f"\nexit codes: {json.dumps(ends)}\n")


main(*sys.argv[1:])
