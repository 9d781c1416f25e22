"""Monitors of bits and of categories."""
