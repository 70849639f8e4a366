"""Staging directories beside the final place: what is put back, removed, kept."""

import errno
import shutil
from unittest import mock

import pytest
from etils import epath

from imagenet2012_subset.write.staging import (
    put_back,
    put_in_place,
    remove_leftovers,
    staging_directories,
    staging_directory,
)


@pytest.fixture
def final(tmp_path):
    return epath.Path(tmp_path) / "imagenet2012_subset" / "small" / "5.0.0"


def _dataset(folder: epath.Path, text: str) -> epath.Path:
    folder.mkdir(parents=True)
    (folder / "what").write_text(text)
    return folder


def _killed_build(final: epath.Path, replaced: list[str]) -> epath.Path:
    staging = final.parent / f"incomplete.1_{final.name}"
    _dataset(staging.joinpath(*final.parts[-3:]), "new")
    for text in replaced:
        _dataset(staging / text, text)
    return staging


@pytest.mark.parametrize(
    "names", [["replaced"], ["replaced-2", "replaced-10", "replaced-9"]]
)
def test_the_last_dataset_that_was_replaced_is_put_back(final, caplog, names):
    """Version 1.1 numbered the datasets that it replaced."""
    staging = _killed_build(final, names)
    last = names[len(names) // 2]
    put_back(final)
    assert (final / "what").read_text() == last
    assert not (staging / last).exists()
    assert f"{final} ended early: the old dataset is back" in caplog.text


def test_what_is_in_the_final_place_stays(final, caplog):
    staging = _killed_build(final, ["replaced"])
    _dataset(final, "present")
    put_back(final)
    assert (final / "what").read_text() == "present"
    assert (staging / "replaced").exists()
    assert not caplog.text


@pytest.mark.parametrize("is_replaced", [False, True])
def test_nothing_is_put_back_unless_a_replacement_was_interrupted(final, is_replaced):
    """Where a dataset was replaced, the new one was in the final place already."""
    staging = _killed_build(final, ["replaced"])
    shutil.rmtree(staging / (final.parts[-3] if is_replaced else "replaced"))
    put_back(final)
    assert not final.exists()


def test_only_staging_directories_of_this_version_count(final):
    assert staging_directories(final) == []
    put_back(final)
    ours = [final.parent / f"incomplete.{letter}_{final.name}" for letter in "ab"]
    others = ["incomplete.c_4.0.0", f"other_{final.name}", "incomplete.", final.name]
    for folder in [*reversed(ours), *(final.parent / name for name in others)]:
        folder.mkdir(parents=True)
    assert staging_directories(final) == ours
    remove_leftovers(final)
    assert sorted(path.name for path in final.parent.iterdir()) == sorted(others)


def test_what_a_killed_build_left_is_removed_and_named(final, caplog):
    staging = _killed_build(final, ["replaced"])
    _dataset(final, "there")
    remove_leftovers(final)
    assert list(final.parent.iterdir()) == [final]
    (record,) = caplog.records
    assert record.getMessage() == (
        f"Removed {staging}, which a killed build left behind"
    )


def test_what_cannot_be_removed_is_named(final, monkeypatch, caplog):
    denied = mock.Mock(side_effect=PermissionError(errno.EACCES, "Permission denied"))
    monkeypatch.setattr(shutil, "rmtree", denied)
    with staging_directory(final) as staging:
        (staging / "file").write_text("x")
    assert f"{staging} could not be deleted" in caplog.text
    caplog.clear()
    remove_leftovers(final)
    assert f"{staging} could not be deleted" in caplog.text
    assert "Removed" not in caplog.text


def test_a_dataset_that_is_replaced_goes_into_the_staging_directory(final):
    _dataset(final, "old")
    with staging_directory(final) as staging:
        assert staging.parent == final.parent
        assert staging_directories(final) == [staging]
        new = _dataset(staging.joinpath(*final.parts[-3:]), "new")
        assert not put_in_place(staging, final, replace=False)
        assert (final / "what").read_text() == "old"
        assert put_in_place(staging, final, replace=True)
        assert not new.exists()
        assert (staging / "replaced" / "what").read_text() == "old"
    assert (final / "what").read_text() == "new"
    assert not staging.exists()


def test_a_file_in_the_final_place_is_replaced_only_on_request(final):
    final.parent.mkdir(parents=True)
    final.write_text("a file")
    with staging_directory(final) as staging:
        _dataset(staging.joinpath(*final.parts[-3:]), "new")
        assert not put_in_place(staging, final, replace=False)
        assert final.read_text() == "a file"
        assert put_in_place(staging, final, replace=True)
    assert (final / "what").read_text() == "new"
