"""Which images of a source are selected, and what an incomplete source may be."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import pytest
from etils import epath

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION, Original
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


def first_of_synsets(number: int) -> list[str]:
    return [f"{wnid}_1.JPEG" for wnid in names.wnids()[:number]]


def chosen(images: Images) -> list[str]:
    return decoded(images.entries.names)


def why_not_training(source: TarArchive) -> str:
    with pytest.raises(ArchiveError) as caught:
        select_training(source, ["n01440764_99.JPEG"])
    assert caught.value.path == str(source.path)
    assert caught.value.problem.startswith(
        "is missing 1 of 1 images (n01440764_99.JPEG); it has "
    )
    assert caught.value.remedy.startswith(source.remedy)
    return caught.value.problem


def why_not_validation(source: TarArchive) -> str:
    with pytest.raises(ArchiveError) as caught:
        select_validation(source, 5)
    assert caught.value.remedy.startswith(source.remedy)
    return caught.value.problem


@pytest.mark.parametrize("number", [1, 2, 119, 121, 999])
def test_an_archive_of_some_synsets_is_said_to_be_one(source_of, number):
    problem = why_not_training(source_of(TRAINING, first_of_synsets(number)))
    assert problem.endswith(f". It contains {number} of 1,000 synsets")


def test_an_archive_of_120_synsets_is_that_of_another_task(source_of):
    problem = why_not_training(source_of(TRAINING, first_of_synsets(120)))
    assert problem.endswith(
        ". It contains 120 of 1,000 synsets, as the archive of task 3, dogs, does"
    )


def test_an_archive_of_all_synsets_is_taken_for_nothing_else(source_of):
    assert ". It contains" not in why_not_training(
        source_of(TRAINING, first_of_synsets(1000))
    )


@pytest.mark.parametrize("also", [[], ["n01440764_1.JPEG"]])
def test_validation_images_in_place_of_training_images(source_of, also):
    source = source_of(TRAINING, [archives.validation_name(1), *also])
    assert why_not_training(source).endswith(
        f". It contains validation images, as {VALIDATION.file_name} does"
    )


@pytest.mark.parametrize("also", [[], [archives.validation_name(1)]])
def test_training_images_in_place_of_validation_images(source_of, also):
    source = source_of(VALIDATION, ["n01440764_1.JPEG", *also])
    assert why_not_validation(source).endswith(
        f". It contains training images, as {TRAINING.file_name} does"
    )


def test_an_archive_that_lacks_some_is_not_taken_for_another(source_of):
    source = source_of(VALIDATION, [archives.validation_name(n) for n in (1, 2, 4)])
    problem = why_not_validation(source)
    assert problem.startswith(
        "is missing 2 of 5 images (ILSVRC2012_val_00000003.JPEG, "
        "ILSVRC2012_val_00000005.JPEG); "
    )
    assert ". It contains" not in problem


@pytest.mark.parametrize("original", [TRAINING, VALIDATION])
def test_test_images_have_no_labels(source_of, original):
    source = source_of(original, ["ILSVRC2012_test_00000001.JPEG"])
    why_not = why_not_training if original == TRAINING else why_not_validation
    assert why_not(source).endswith(
        ". It contains the test images, which have no labels"
    )


@pytest.mark.parametrize(
    ("held", "said"), [([], "nothing"), (["a.txt", "b.txt"], "a.txt, b.txt")]
)
def test_an_archive_without_images_is_said_to_have_none(source_of, held, said):
    problem = why_not_validation(source_of(VALIDATION, held))
    assert problem.endswith(f". It contains no ImageNet image, but {said}")


def test_images_come_in_the_order_of_the_archive(source_of):
    listed = ["n01440764_2.JPEG", "n01443537_1.JPEG", "n01440764_10.JPEG"]
    source = source_of(TRAINING, ["n01440764_1.JPEG", *reversed(listed)])
    assert chosen(select_training(source, listed)) == listed[::-1]


def test_of_several_images_of_a_name_the_first_is_kept_where_that_is_asked(source_of):
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


def test_one_image_of_a_name_too_many_is_counted_as_one(source_of):
    held = [archives.validation_name(number) for number in (2, 1, 2)]
    source = source_of(VALIDATION, held)
    with pytest.raises(ArchiveError) as caught:
        select_validation(source, 2)
    assert caught.value.problem.startswith(
        f"contains 1 image more than once ({held[0]}); {held[0]} is "
    )
    assert chosen(select_validation(source, 2, ignore_duplicates=True)) == held[:2]


def test_validation_images_past_the_last_are_too_many(source_of):
    held = [archives.validation_name(number) for number in (1, 2, 3, 4)]
    source = source_of(VALIDATION, held)
    assert chosen(select_validation(source, 4)) == held
    with pytest.raises(ArchiveError) as caught:
        select_validation(source, 3)
    assert caught.value.problem == f"has 1 validation image outside 1 to 3 ({held[-1]})"
    assert caught.value.remedy == source.remedy


def test_files_beside_the_validation_images_do_no_harm(source_of):
    held = ["readme.txt", archives.validation_name(1)]
    images = select_validation(source_of(VALIDATION, held), 1)
    assert chosen(images) == held[1:]
    assert isinstance(images, Images)
    assert pathlib.Path(images.source.path).name == VALIDATION.file_name
