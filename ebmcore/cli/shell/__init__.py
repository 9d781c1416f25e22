"""The command line in the user's shell: words that it offers at TAB, lines to paste.

A completion imports neither torch nor a plugin: its answers come from a catalogue in the user's
cache, which a process of its own writes when an installation has changed.
"""
