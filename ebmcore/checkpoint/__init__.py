"""Checkpoints: their files, and the state that they hold."""
