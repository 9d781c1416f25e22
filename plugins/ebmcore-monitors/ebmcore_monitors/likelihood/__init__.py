"""The model's and the dataset's log densities: log Z by quadrature, held-out likelihood, KL."""
