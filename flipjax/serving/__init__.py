"""From a photograph to a decision."""
