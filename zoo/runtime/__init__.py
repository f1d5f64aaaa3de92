"""What the rest runs on: replicas, CPU cores, the optimizer, files, argument checks."""
