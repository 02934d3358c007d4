"""Sweeps: lists of (name, config, overrides), one file per table or figure."""
