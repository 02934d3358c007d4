"""Vision-language face anti-spoofing in JAX and Flax. Importing this package loads nothing heavy."""

__version__ = "0.1.0"
