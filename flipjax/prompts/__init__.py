"""Prompt texts of the published systems and the tokenizers that read them."""
