"""Stores for the tests of this folder."""

from tests.shared.stores import bucket, google, google_bucket, s3

__all__ = ["bucket", "google", "google_bucket", "s3"]
