"""Learning: the Estimator, the training loop, classical rows, levels of a person."""
