"""Datasets of bits with known laws, beyond bars and stripes."""
