"""Mathematics that the energies share: densities on a line, quadratic forms, smooth radii."""
