"""Records to batches: sources, alignment, augmentation, sampling, protocols, pipeline."""
