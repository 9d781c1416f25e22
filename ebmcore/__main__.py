"""`python -m ebmcore` is the command `ebmcore`."""

from __future__ import annotations

import os


def main() -> None:
    """Answer the shell that completes a word, or run the command line."""
    if "_EBMCORE_COMPLETE" in os.environ:
        from ebmcore.completion import answer

        if answer.answered():
            return
    from ebmcore.cli.main import main as commands

    commands()


if __name__ == "__main__":
    main()
