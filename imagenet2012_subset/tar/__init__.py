"""The tar format: from a file's bytes to names, offsets and sizes.

Imports `storage` and `errors`. Knows nothing of ImageNet, and reads headers alone.
"""
