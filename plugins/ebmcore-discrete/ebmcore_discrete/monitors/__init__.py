"""Pictures of the weights of discrete energies."""
