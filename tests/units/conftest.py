"""Fixtures of several folders."""

from collections.abc import Iterator

import pytest

from imagenet2012_subset.imagenet import jpeg
from imagenet2012_subset.storage import files


@pytest.fixture(scope="module", params=[True, False], ids=["advice", "threads"])
def platform(request: pytest.FixtureRequest) -> Iterator[None]:
    """Linux with `posix_fadvise`, then macOS, which has none and uses threads."""
    if request.param and not files.HAS_ADVICE:
        pytest.skip("this platform has no posix_fadvise")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "HAS_ADVICE", request.param)
        yield


@pytest.fixture(scope="module")
def convert_in_this_process() -> Iterator[None]:
    """Saves the start of a child process, which takes seconds, for each image."""

    def convert(images):
        jpeg._converted.update(zip(images, jpeg._results(images), strict=True))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jpeg, "convert", convert)
        yield
