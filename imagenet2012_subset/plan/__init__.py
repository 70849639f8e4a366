"""In which order and in which shards: all that a shard's bytes follow from.

Imports `find` for its nouns, `imagenet` and `errors`. Opens no file.
"""
