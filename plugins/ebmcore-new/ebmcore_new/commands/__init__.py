"""The commands `new` and `examples`."""
