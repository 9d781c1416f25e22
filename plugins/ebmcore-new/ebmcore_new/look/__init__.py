"""Looks at data: what they are, and the keys that read them, each with its reason."""
