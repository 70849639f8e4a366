"""Finds and reads images: one module for each form, and the choice between them."""
