"""One published system per file; a config names the file."""
