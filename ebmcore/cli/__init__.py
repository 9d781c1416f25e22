"""The command line: one module for each command, nothing heavy imported at the top."""
