"""A complete third-party plugin for ebmcore: one energy, one monitor, one command."""
