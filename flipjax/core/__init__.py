"""Labels, schemas, the Method contract, errors and random streams; imports nothing of ours."""
