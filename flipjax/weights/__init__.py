"""Checkpoints of other projects into our parameter trees, strict both ways."""
