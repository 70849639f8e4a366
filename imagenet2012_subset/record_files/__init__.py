"""The files of records that TFDS writes: where each image is in them.

Depends on `imagenet` and `storage`.
"""
