"""Points to evaluate an energy at: grids, random subsets, chunks that fit in memory."""
