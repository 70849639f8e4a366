"""Images in another format than ImageNet's are an error that counts them."""

from __future__ import annotations

import pytest
from etils import epath
from PIL import Image as PilImage

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet.names import TRAINING
from imagenet2012_subset.sources.discovery import find_source
from imagenet2012_subset.subset.select import select_training
from tests.shared import archives, forms

NAMES = [f"n01440764_{number}.JPEG" for number in range(1, 41)]
PNG_NAME = "n02105855_2933.JPEG"
JPEG = archives.jpeg(1)


def _encode(image_format: str) -> bytes:
    return archives.encode(PilImage.new("RGB", (40, 30)), image_format)


def _problem(folder, content: dict[str, bytes]) -> str:
    tar = archives.tar_bytes(content.items())
    (folder / TRAINING.file_name).write_bytes(tar)
    source = find_source(epath.Path(folder), TRAINING)
    with pytest.raises(ArchiveError, match=NAMES[0]) as caught:
        list(select_training(source, list(content)))
    return caught.value.problem


@pytest.mark.parametrize(
    ("image_format", "num_images", "end"),
    [
        ("PNG", 39, "is a PNG image, not a JPEG; of 41 images compared, 39 are not"),
        ("GIF", 39, "is a GIF image, not a JPEG; of 41 images compared, 39 are not"),
        ("WEBP", 2, "is a WebP image, not a JPEG; of 41 images compared, 2 are not"),
        ("GIF", 1, "is a GIF image, not a JPEG"),
    ],
)
def test_images_in_another_format_are_counted(tmp_path, image_format, num_images, end):
    content = dict.fromkeys(NAMES, JPEG)
    content |= dict.fromkeys(NAMES[:num_images], _encode(image_format))
    content[PNG_NAME] = _encode("PNG")
    end += " JPEGs" if num_images > 1 else ""
    assert _problem(tmp_path, content).endswith(end)


def test_of_many_images_a_sample_is_compared(tmp_path):
    names = [f"n01440764_{number}.JPEG" for number in range(1, 1501)]
    problem = _problem(tmp_path, dict.fromkeys(names, b"GIF89a"))
    assert problem.endswith("; of 500 images compared, 500 are not JPEGs")


def test_damage_during_the_comparison_does_not_hide_the_error(tmp_path):
    for name in NAMES:
        forms.write(tmp_path / "train" / "n01440764" / name, b"GIF89a")
    source = find_source(epath.Path(tmp_path), TRAINING)
    images = iter(select_training(source, NAMES))
    (tmp_path / "train" / "n01440764" / sorted(NAMES)[-1]).unlink()
    with pytest.raises(ArchiveError, match=r"not a JPEG; of \d+ images compared"):
        next(images)
