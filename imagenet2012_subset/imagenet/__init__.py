"""Facts about ImageNet: names, the two archives, the images that need conversion.

The only files that it reads are its own and the lists that TFDS ships.
"""
