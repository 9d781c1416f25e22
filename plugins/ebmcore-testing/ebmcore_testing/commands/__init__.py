"""The commands that the kit adds to `ebmcore`."""
