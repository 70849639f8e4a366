"""The package's version; the dataset is versioned separately."""

__version__ = "1.2.0"
