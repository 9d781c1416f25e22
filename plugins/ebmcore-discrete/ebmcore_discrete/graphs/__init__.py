"""Spins and categories on the sites of a graph: its edges, their couplings, exact sums."""
