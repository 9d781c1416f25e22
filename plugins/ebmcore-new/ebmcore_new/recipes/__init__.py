"""The recipes: for each kind of data a config that is known to train, with the reasons."""
