"""Folders of builds beside the final place: what is put back, told of, passed over."""

from __future__ import annotations

import os

import pytest
from etils import epath

from imagenet2012_subset import WriteError
from imagenet2012_subset.write.final_place import (
    folder_of_build,
    folders_of_builds,
    put_back,
    put_in_place,
)
from imagenet2012_subset.write.infos import read_info, read_metadata
from imagenet2012_subset.write.leftovers import report_leftovers


@pytest.fixture
def final(tmp_path):
    return epath.Path(tmp_path) / "imagenet2012_subset" / "small" / "5.0.0"


def _dataset(folder: epath.Path, text: str) -> epath.Path:
    folder.mkdir(parents=True)
    (folder / "what").write_text(text)
    return folder


def _killed_build(final: epath.Path, name: str, replaced: list[str]) -> epath.Path:
    folder = final.parent / name
    _dataset(folder.joinpath(*final.parts[-3:]), "new")
    for text in replaced:
        _dataset(folder / text, text)
    return folder


def test_the_dataset_that_was_there_last_is_put_back(final, caplog):
    names = ["replaced-2", "replaced-10", "replaced-9"]
    folder = _killed_build(final, f"incomplete.1_{final.name}", names)
    put_back(final)
    assert (final / "what").read_text() == "replaced-10"
    assert not (folder / "replaced-10").exists()
    assert f"{final} ended before it did: what was there is back" in caplog.text


def test_what_is_in_the_final_place_stays(final, caplog):
    folder = _killed_build(final, f"incomplete.1_{final.name}", ["replaced-0"])
    _dataset(final, "there")
    put_back(final)
    assert (final / "what").read_text() == "there"
    assert (folder / "replaced-0").exists()
    assert not caplog.text


def test_nothing_is_put_back_of_a_build_that_replaced_nothing(final):
    _killed_build(final, f"incomplete.1_{final.name}", [])
    put_back(final)
    assert not final.exists()


def test_nothing_is_put_back_where_the_new_dataset_has_left(final):
    _dataset(final.parent / f"incomplete.1_{final.name}" / "replaced-0", "old")
    put_back(final)
    assert not final.exists()


def test_folders_of_builds_are_those_of_this_version_alone(final):
    assert folders_of_builds(final) == []
    put_back(final)
    ours = [final.parent / f"incomplete.{letter}_{final.name}" for letter in "ab"]
    others = ["incomplete.c_4.0.0", f"other_{final.name}", "incomplete.", final.name]
    for folder in [*reversed(ours), *(final.parent / name for name in others)]:
        folder.mkdir(parents=True)
    assert folders_of_builds(final) == ours


def test_the_size_of_what_is_left_is_told(final):
    folder = _dataset(final.parent / f"incomplete.1_{final.name}", "12345")
    _dataset(folder / "below" / "below", "123")
    # As a file that a build which still runs has moved meanwhile.
    os.symlink(folder / "gone", folder / "link")
    (message,) = report_leftovers(final)
    assert message.startswith(f"{folder} (8 bytes) is of a build that was interrupted")


def test_each_dataset_that_is_replaced_goes_into_the_folder_of_the_build(final):
    _dataset(final, "old")
    with folder_of_build(final) as folder:
        assert folder.parent == final.parent
        assert folders_of_builds(final) == [folder]
        new = _dataset(folder.joinpath(*final.parts[-3:]), "new")
        assert not put_in_place(folder, final, replace=False)
        assert (final / "what").read_text() == "old"
        assert put_in_place(folder, final, replace=True)
        assert not new.exists()
        assert (folder / "replaced-0" / "what").read_text() == "old"
    assert (final / "what").read_text() == "new"
    assert not folder.exists()


def test_a_file_in_the_final_place_is_replaced_only_if_asked_for(final):
    final.parent.mkdir(parents=True)
    final.write_text("a file")
    with folder_of_build(final) as folder:
        _dataset(folder.joinpath(*final.parts[-3:]), "new")
        assert not put_in_place(folder, final, replace=False)
        assert final.read_text() == "a file"
        assert put_in_place(folder, final, replace=True)
    assert (final / "what").read_text() == "new"


def _interrupted_between_two_renames(final: epath.Path) -> None:
    with folder_of_build(final) as folder:
        _dataset(folder.joinpath(*final.parts[-3:]), "new")
        final.rename(folder / "replaced-0")
        raise KeyboardInterrupt


def test_an_interrupt_puts_back_and_leaves_no_folder(final):
    _dataset(final, "old")
    with pytest.raises(KeyboardInterrupt):
        _interrupted_between_two_renames(final)
    assert (final / "what").read_text() == "old"
    assert list(final.parent.iterdir()) == [final]


def test_metadata_that_is_no_object_tells_nothing(tmp_path):
    folder = epath.Path(tmp_path)
    assert read_metadata(folder) == {}
    (folder / "metadata.json").write_text("[1]")
    assert read_metadata(folder) == {}
    (folder / "metadata.json").write_text('{"a": 1}')
    assert read_metadata(folder) == {"a": 1}


@pytest.mark.parametrize("damage", [b'{"a": ', b"\xff\xfe"])
def test_metadata_that_is_damaged_is_an_error_that_names_it(tmp_path, damage):
    folder = epath.Path(tmp_path)
    (folder / "metadata.json").write_bytes(damage)
    with pytest.raises(WriteError, match="cannot be read") as caught:
        read_metadata(folder)
    assert caught.value.path == str(folder / "metadata.json")
    assert f"Move {folder} away" in caught.value.remedy


def test_a_folder_that_is_no_dataset_is_an_error_that_says_so(tmp_path):
    with pytest.raises(WriteError, match=r"it has no dataset_info\.json"):
        read_info(epath.Path(tmp_path))


@pytest.mark.parametrize("damage", [b"{", b"\xff\xfe"])
def test_an_info_that_is_damaged_is_an_error_that_names_it(tmp_path, damage):
    path = epath.Path(tmp_path) / "dataset_info.json"
    path.write_bytes(damage)
    with pytest.raises(WriteError, match="cannot be read") as caught:
        read_info(epath.Path(tmp_path))
    assert caught.value.path == str(path)


def test_a_dataset_that_is_gone_for_good_is_an_error(final):
    with pytest.raises(WriteError, match="is gone, though it was there just now"):
        read_info(final)
