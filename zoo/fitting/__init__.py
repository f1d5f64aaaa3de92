"""The training step and the input checks that models and priors share."""
