"""Raw photographs and videos to checked ArrayRecord data sets."""
