"""The gate: publishes what is proven street, masks all else."""
