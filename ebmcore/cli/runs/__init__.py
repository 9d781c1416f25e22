"""The commands of `ebmcore runs`."""
