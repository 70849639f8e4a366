"""The version, and the links and paths in the documents of a release."""

import pathlib
import re

import pytest

from imagenet2012_subset import Builder, __version__

_TOP = pathlib.Path(__file__).parents[2]
_PACKAGE = _TOP / "imagenet2012_subset"

# A relative path, its first directory, and the test that may follow it.
_NAMED_PATH = re.compile(r"(?<![\w./~>-])((\.?\w+)/[\w/.-]*[\w/])(?:::(\w+))?")


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


@pytest.mark.parametrize(
    "page",
    [*_TOP.glob("*.md"), *_TOP.glob("docs/*.md")],
    ids=lambda page: page.name,
)
def test_paths_of_this_repository_exist(page):
    """Paths are relative to the repository or, in docs/design.md, to the package."""
    datasets = {f"{Builder.name}/{config.name}" for config in Builder.BUILDER_CONFIGS}
    missing = []
    for named in _NAMED_PATH.finditer(page.read_text()):
        path, first, test = named.groups()
        tops = [top for top in (_TOP, _PACKAGE) if (top / first).is_dir()]
        if not tops or path in datasets:
            continue
        found = [top / path for top in tops if (top / path).exists()]
        if not found or (test and f"def {test}(" not in found[0].read_text()):
            missing.append(named[0])
    assert not missing
