"""Facts about ImageNet: its names, its two archives, its odd images.

Imports nothing of the package but `errors`; touches only the lists that TFDS ships.
"""
