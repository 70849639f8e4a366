"""Which of the images: those that a config lists, each there once, or an error.

Imports `find`, `imagenet` and `errors`. Reads subset lists; opens no image.
"""
