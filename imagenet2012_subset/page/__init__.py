"""A page to look at: one HTML file that shows what is in a prepared dataset.

Imports `choose` and `imagenet` for their facts, and `errors`. Reads records, as a check
does, and writes nothing but that file.
"""
