"""Where the images are, in whatever form the user has them.

Imports `tar`, `storage`, `imagenet` and `errors`. Alone reads what the user has, and
writes nothing but its kept index.
"""
