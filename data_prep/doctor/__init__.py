"""Looks for what is wrong in a raw data set or in the records made of it, and says so on one page."""
