"""Files at object stores: ranges of an object, many under way at once, by fsspec.

Imports `errors`, and of `storage` what every kind of file offers. Touches what the
store's client opens, and nothing on a disk.
"""
