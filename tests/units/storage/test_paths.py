"""What folders contain and how long files are, for many of them at a time."""

import os
import threading

import pytest

from imagenet2012_subset.storage.paths import (
    Folder,
    Status,
    in_threads,
    leads_upwards,
    list_folders,
    statuses,
)


def test_statuses_come_in_the_order_of_the_paths(tmp_path):
    paths = [tmp_path / str(number) for number in range(300)]
    for number, path in enumerate(paths):
        if number % 3:
            path.write_bytes(bytes(number))
    for number, result in enumerate(statuses([str(path) for path in paths])):
        if number % 3:
            changed_ns = os.stat(paths[number]).st_ctime_ns
            assert result == Status(number, changed_ns, None)
        else:
            assert isinstance(result, FileNotFoundError)


def test_what_is_not_a_regular_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    paths = [str(tmp_path), str(tmp_path / "fifo"), "/dev/null", str(tmp_path / "loop")]
    *found, loop = statuses(paths)
    kinds = ["a directory", "a FIFO", "a character device"]
    assert [status.what for status in found] == kinds
    assert isinstance(loop, OSError)


def test_the_contents_of_folders_are_classified(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.txt").touch()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "to_folder").symlink_to("a")
    (tmp_path / "to_file").symlink_to("a.txt")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "loop").symlink_to("loop")
    empty, folder = list_folders([str(tmp_path / "a"), str(tmp_path)])
    assert empty == Folder()
    assert folder == Folder(
        files=[b"a.txt", b"b.txt", b"fifo", b"to_file"],
        folders=[b"a", b"b", b"to_folder"],
        broken=[b"loop", b"nowhere"],
        links=[b"to_folder"],
    )
    with pytest.raises(FileNotFoundError):
        list_folders([str(tmp_path), "/nowhere"])


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


def test_tasks_run_in_many_threads():
    together = threading.Barrier(17)

    def double(number):
        if number < 17 * 8 and number % 8 == 0:
            together.wait(300)
        return 2 * number

    assert in_threads(double, range(2000), at_a_time=8) == list(range(0, 4000, 2))
