"""Loss terms as plain masked functions; weights are applied by the methods."""
