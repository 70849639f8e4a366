"""Runs tests on both kinds of platforms: with `posix_fadvise`, and with threads."""

from collections.abc import Iterator

import pytest

from imagenet2012_subset.storage import files


@pytest.fixture(scope="module", params=[True, False], ids=["advice", "threads"])
def platform(request: pytest.FixtureRequest) -> Iterator[None]:
    """Linux with `posix_fadvise`, then macOS, which has none and uses threads."""
    if request.param and not files.HAS_ADVICE:
        pytest.skip("this platform has no posix_fadvise")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "HAS_ADVICE", request.param)
        yield
