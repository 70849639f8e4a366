"""A page to look at: one HTML file that shows what is in a prepared dataset.

It reads records, as a check does, and writes nothing but that file.
"""
