"""Faults of a single file, whatever it should be."""

import os
import pathlib
import socket
import tempfile


def deleted(path: pathlib.Path) -> None:
    path.unlink()


def empty(path: pathlib.Path) -> None:
    path.write_bytes(b"")


def cut_off(path: pathlib.Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def shorter(path: pathlib.Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def zeros(path: pathlib.Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def web_page(path: pathlib.Path) -> None:
    path.write_bytes(b"<html>404</html>")


def noise(path: pathlib.Path) -> None:
    path.write_bytes(b"\1\2\3\4" * 2560)


def replaced(path: pathlib.Path) -> None:
    """Writes another file of the same length, with one bit changed."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:700] + bytes([data[700] ^ 1]) + data[701:])


def rewritten(path: pathlib.Path) -> None:
    """Changes one bit in place, and restores the modification time."""
    data, times = path.read_bytes(), path.stat()
    path.write_bytes(data[:700] + bytes([data[700] ^ 1]) + data[701:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def directory(path: pathlib.Path) -> None:
    path.unlink()
    path.mkdir()


def fifo(path: pathlib.Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: pathlib.Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def unix_socket(path: pathlib.Path) -> None:
    path.unlink()
    # The path of a socket may have about a hundred characters.
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"{short}/s")
        os.rename(f"{short}/s", path)


def broken_link(path: pathlib.Path) -> None:
    path.unlink()
    path.symlink_to("gone")


def link_to_itself(path: pathlib.Path) -> None:
    path.unlink()
    path.symlink_to(path.name)
