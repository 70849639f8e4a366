"""The order and the shards of a split, which all bytes of a shard follow from.

Opens no file.
"""
