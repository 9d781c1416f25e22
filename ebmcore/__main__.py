"""`python -m ebmcore` is the command `ebmcore`."""

from ebmcore.cli.main import main

main()
