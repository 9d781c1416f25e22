"""Words that a shell offers at TAB, within a tenth of a second.

A completion imports neither typer nor torch nor a plugin: its answers come from a catalogue in the
user's cache, which a process of its own writes when an installation has changed.
"""
