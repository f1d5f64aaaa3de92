"""What everything that is fitted shares, models and priors alike: the training step, and checks of its input."""
