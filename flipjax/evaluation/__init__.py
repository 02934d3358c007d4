"""Scores to metrics to a report a person can read."""
