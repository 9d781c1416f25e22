"""Several runs of one config that differ by their seeds, and how far they lie apart."""
