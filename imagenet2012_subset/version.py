"""The package's version; the dataset has one of its own."""

__version__ = "1.2.0"
