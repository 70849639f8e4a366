"""Which images of a source are selected, and what an incomplete source may be."""

from collections.abc import Sequence

import pytest
from etils import epath

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION, Original
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.sources.source import decoded
from imagenet2012_subset.sources.tar_archive import TarArchive
from imagenet2012_subset.subset.select import select_training, select_validation
from tests.shared import archives


@pytest.fixture
def source_of(tmp_path):
    def make(original: Original, file_names: Sequence[str]) -> TarArchive:
        path = tmp_path / original.file_name
        path.write_bytes(archives.tar_bytes((name, b"x") for name in file_names))
        return TarArchive(epath.Path(path), original)

    return make


def chosen(images: Images) -> list[str]:
    return decoded(images.entries.names)


def _problem(source: TarArchive) -> str:
    """Returns what is wrong with an archive that is missing a requested image."""
    select, wanted = select_validation, 5
    if source.original == TRAINING:
        select, wanted = select_training, ["n01440764_99.JPEG"]
    with pytest.raises(ArchiveError) as caught:
        select(source, wanted)
    assert caught.value.path == str(source.path)
    assert caught.value.remedy.startswith(source.remedy)
    return caught.value.problem


_IMAGE, _VALIDATION = "n01440764_1.JPEG", archives.validation_name(1)
_TEST = "ILSVRC2012_test_00000001.JPEG"
_HAS_TRAINING = f"training images, as {TRAINING.file_name} does"
_HAS_VALIDATION = f"validation images, as {VALIDATION.file_name} does"


@pytest.mark.parametrize(
    ("original", "files", "contents"),
    [
        (TRAINING, [_VALIDATION], _HAS_VALIDATION),
        (TRAINING, [_VALIDATION, _IMAGE], _HAS_VALIDATION),
        (VALIDATION, [_IMAGE], _HAS_TRAINING),
        (VALIDATION, [_IMAGE, _VALIDATION], _HAS_TRAINING),
        (TRAINING, [_TEST], "the test images, which have no labels"),
        (VALIDATION, [_TEST], "the test images, which have no labels"),
        (VALIDATION, [], "no ImageNet image"),
        (VALIDATION, ["a.txt", "b.txt"], "no ImageNet image, but a.txt, b.txt"),
    ],
)
def test_another_archive_is_described(source_of, original, files, contents):
    assert _problem(source_of(original, files)).endswith(f". It contains {contents}")


@pytest.mark.parametrize(
    ("number", "what"),
    [
        *((n, f"It contains {n} of 1,000 synsets") for n in (1, 2, 119, 121, 999)),
        (120, "120 of 1,000 synsets, as the archive of task 3, dogs, does"),
        (1000, ""),
    ],
)
def test_an_archive_of_some_synsets_is_described(source_of, number, what):
    files = [f"{wnid}_1.JPEG" for wnid in names.wnids()[:number]]
    problem = _problem(source_of(TRAINING, files))
    assert problem.startswith("is missing 1 of 1 images (n01440764_99.JPEG); it has ")
    assert problem.endswith(what)
    assert (". It contains" in problem) == bool(what)


def test_an_incomplete_archive_is_not_taken_for_another(source_of):
    source = source_of(VALIDATION, [archives.validation_name(n) for n in (1, 2, 4)])
    problem = _problem(source)
    assert problem.startswith(
        "is missing 2 of 5 images (ILSVRC2012_val_00000003.JPEG, "
        "ILSVRC2012_val_00000005.JPEG); "
    )
    assert ". It contains" not in problem


def test_duplicates_are_an_error_unless_they_are_ignored(source_of):
    a, b, c = (f"n01440764_{number}.JPEG" for number in (1, 2, 3))
    source = source_of(TRAINING, [b, a, c, a, b, a])
    images = select_training(source, [a, b], ignore_duplicates=True)
    assert chosen(images) == [b, a]
    everything = source.look_up([a, b])
    assert images.entries.offsets.tolist() == everything.offsets.tolist()[:2]
    with pytest.raises(ArchiveError) as caught:
        select_training(source, [a, b])
    places = " and ".join(f"{a} at byte {512 + 1024 * i:,}" for i in (1, 3, 5))
    assert caught.value.problem == (
        f"contains 2 images more than once ({a}, {b}); {a} is {places}"
    )
    assert caught.value.remedy == f"Remove the wrong ones. {source.remedy}"
    # What is not listed does not count.
    assert chosen(select_training(source, [c])) == [c]


def test_validation_images_past_the_last_are_too_many(source_of):
    held = [archives.validation_name(number) for number in (1, 2, 3, 4)]
    source = source_of(VALIDATION, held)
    assert chosen(select_validation(source, 4)) == held
    with pytest.raises(ArchiveError) as caught:
        select_validation(source, 3)
    assert caught.value.problem == f"has 1 validation image outside 1 to 3 ({held[-1]})"
    assert caught.value.remedy == source.remedy
