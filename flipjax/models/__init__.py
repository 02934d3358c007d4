"""Networks as functional Linen modules: no files, no flags, no config objects."""
