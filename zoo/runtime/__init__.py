"""Infrastructure below the models: checks of arguments and settings, files, replicas, CPU cores, optimizers."""
