"""Parameters of components: their signatures, their values checked, their types by name."""
