"""Miniature copies of the public data sets: true folder names, file names and containers around made-up pictures."""
