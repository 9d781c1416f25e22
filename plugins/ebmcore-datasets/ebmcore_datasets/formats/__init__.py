"""File formats of the dataset `file`: .csv, .npy, .npz and .pt, and the checks of their numbers."""
