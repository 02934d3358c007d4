"""Puts method, data, training and evaluation together for the commands: config in, workdir out."""
