from __future__ import annotations

import pytest

from imagenet2012_subset.check.folder import number_of_images


@pytest.mark.parametrize("number", [1, 2, 49_999, 50_000])
def test_a_number_of_images_that_can_be(number):
    assert number_of_images(str(number)) == number


@pytest.mark.parametrize("argument", ["0", "-1", "50001", "1.5", "", "many"])
def test_a_number_of_images_that_cannot_be(argument):
    with pytest.raises(ValueError, match=r"1 to 50,000|invalid literal"):
        number_of_images(argument)
