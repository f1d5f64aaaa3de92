"""Infrastructure: replicas, CPU cores, the optimizer, files, argument checks."""
