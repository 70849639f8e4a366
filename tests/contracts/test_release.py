"""What a release says of itself, in more than one file."""

import pathlib
import re

import pytest

from imagenet2012_subset import __version__

_TOP = pathlib.Path(__file__).parents[2]


def test_all_files_tell_one_version():
    assert f"\nversion: {__version__}\n" in (_TOP / "CITATION.cff").read_text()
    newest = re.search(r"^## (\S+)$", (_TOP / "CHANGELOG.md").read_text(), re.M)
    assert newest
    assert newest[1] == __version__
    assert f"imagenet2012_subset {__version__}, in place" in (
        _TOP / "README.md"
    ).read_text().replace("\n", " ")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *_TOP.glob("docs/*")])
def test_links_lead_to_files_that_are_there(page):
    path = _TOP / page
    if path.suffix != ".md":
        pytest.skip("is no page")
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
    assert not [link for link in links if not (path.parent / link).exists()]
