"""Checks of samplers: calls of a kernel, its purity, the fields that it carries, its own law."""
