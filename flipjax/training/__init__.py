"""One loop and one jitted step for every method."""
