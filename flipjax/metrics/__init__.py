"""Rates, curves, thresholds, pooling and intervals in NumPy; never imports jax."""
