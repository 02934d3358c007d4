"""One file per method; overrides, never copies, make the variants."""
