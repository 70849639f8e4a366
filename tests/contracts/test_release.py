"""The version and the links in files of a release."""

import pathlib
import re

import pytest

from imagenet2012_subset import __version__

_TOP = pathlib.Path(__file__).parents[2]


def test_all_files_have_the_same_version():
    assert f"\nversion: {__version__}\n" in (_TOP / "CITATION.cff").read_text()
    newest = re.search(r"^## (\S+)$", (_TOP / "CHANGELOG.md").read_text(), re.M)
    assert newest
    assert newest[1] == __version__
    assert f"imagenet2012_subset {__version__}, in place" in (
        _TOP / "README.md"
    ).read_text().replace("\n", " ")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *_TOP.glob("docs/*")])
def test_links_point_to_files_that_exist(page):
    path = _TOP / page
    if path.suffix != ".md":
        pytest.skip("is not a page")
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
    assert not [link for link in links if not (path.parent / link).exists()]
