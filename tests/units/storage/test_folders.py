"""What folders contain and how long files are, for many of them at a time."""

import os
import threading
import time

import pytest

from imagenet2012_subset.storage.folders import (
    Folder,
    Status,
    entries_of,
    in_threads,
    is_folder,
    leads_upwards,
    list_folders,
    statuses,
)


def test_statuses_come_in_the_order_of_the_paths(tmp_path):
    paths = []
    for number in range(300):
        path = tmp_path / str(number)
        if number % 3:
            path.write_bytes(bytes(number))
        paths.append(str(path))
    for number, result in enumerate(statuses(paths)):
        if number % 3:
            assert isinstance(result, Status)
            assert result.size == number
            assert result.what is None
            assert result.changed_ns == os.stat(paths[number]).st_ctime_ns
        else:
            assert isinstance(result, FileNotFoundError)


def test_what_is_not_a_regular_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    paths = [str(tmp_path), str(tmp_path / "fifo"), "/dev/null", str(tmp_path / "loop")]
    *found, loop = statuses(paths)
    assert [status.what for status in found] == [
        "a directory",
        "a FIFO",
        "a character device",
    ]
    assert isinstance(loop, OSError)


def test_the_contents_of_a_folder_are_classified(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.txt").touch()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "to_folder").symlink_to("a")
    (tmp_path / "to_file").symlink_to("a.txt")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "loop").symlink_to("loop")
    (folder,) = list_folders([str(tmp_path)])
    assert folder == Folder(
        files=[b"a.txt", b"b.txt", b"fifo", b"to_file"],
        folders=[b"a", b"b", b"to_folder"],
        broken=[b"loop", b"nowhere"],
        links=[b"to_folder"],
    )
    by_name = {entry.name: is_folder(entry) for entry in entries_of(str(tmp_path))}
    assert by_name[b"a"] is by_name[b"to_folder"] is True
    assert by_name[b"fifo"] is False
    assert by_name[b"loop"] is None


def test_many_folders(tmp_path):
    paths = []
    for number in range(100):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / f"{number}.txt").touch()
        paths.append(str(folder))
    listed = list_folders(paths)
    assert [f.files for f in listed] == [[b"%d.txt" % number] for number in range(100)]


def test_a_folder_that_does_not_exist():
    with pytest.raises(FileNotFoundError):
        list_folders(["/nowhere"] * 50)


@pytest.mark.parametrize(
    ("target", "upwards"),
    [(".", True), ("..", True), ("../inner", True), ("../other", False), ("x", False)],
)
def test_links_that_point_upwards(tmp_path, target, upwards):
    for name in ("inner", "other", "inner/x"):
        (tmp_path / name).mkdir()
    link = tmp_path / "inner" / "link"
    link.symlink_to(target)
    assert leads_upwards(str(link)) == upwards


def test_slow_tasks_run_in_many_threads():
    by = set()

    def slow(number):
        by.add(threading.get_ident())
        time.sleep(0.001)
        return 2 * number

    assert in_threads(slow, range(2000), at_a_time=8) == list(range(0, 4000, 2))
    assert len(by) > 16
