"""Selects the images of a config, without opening any image."""
