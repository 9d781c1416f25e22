"""Completion at TAB in shells: commands, kinds, parts, keys, run directories.

Nothing here imports torch or a plugin: the answers come from a catalogue in the user's cache, which
a process of its own writes when an installation has changed.
"""
