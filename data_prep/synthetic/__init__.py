"""Presentation-attack simulator: seven capture domains (syn_a ... syn_f, syn_meta) that need no licence and no download.

Simulated pictures show that training and evaluation work; error rates on them are never real-world error rates.
"""
