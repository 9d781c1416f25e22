"""Statistics of tensors: R-hat and ESS, ranks, two-sample distances, permutation tests."""
