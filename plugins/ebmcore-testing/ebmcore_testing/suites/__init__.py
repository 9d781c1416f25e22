"""One suite for each kind of component."""
