"""Reads many extents of a file at once, by Linux's asynchronous I/O.

The kernel takes a whole batch of reads in one call, and the disk writes straight to our
memory: no page cache is filled with what is wanted once. That takes half the CPU time
of advice and a read for each, and on a quick disk a build waits for the CPU.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt

# Direct reads have to begin and end at multiples of the disk's logical block, which is
# 512 or 4,096 bytes.
ALIGNMENT = 4096

# glibc has no functions for these calls; their numbers are those of the kernel's
# arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
_SYSTEM_CALLS = {
    "x86_64": {"setup": 206, "destroy": 207, "getevents": 208, "submit": 209},
    "aarch64": {"setup": 0, "destroy": 1, "getevents": 4, "submit": 2},
}

# `struct iocb` and `struct io_event` of include/uapi/linux/aio_abi.h, little endian.
_REQUEST = np.dtype(
    [
        ("data", "<u8"),
        ("key", "<u4"),
        ("rw_flags", "<u4"),
        ("opcode", "<u2"),
        ("priority", "<i2"),
        ("descriptor", "<u4"),
        ("buffer", "<u8"),
        ("length", "<u8"),
        ("offset", "<i8"),
        ("reserved", "<u8"),
        ("flags", "<u4"),
        ("event_descriptor", "<u4"),
    ]
)
_EVENT = np.dtype(
    [("data", "<u8"), ("request", "<u8"), ("result", "<i8"), ("result2", "<i8")]
)

# On some file systems the kernel waits for each read when it is submitted, so that they
# come one after the other; elsewhere it takes a tenth of this, or less. But a thread
# that submitted may have to wait for Python's lock, for longer than any read takes: so
# it counts how often it takes long, not how long it takes.
_SLOW_SECONDS_A_READ = 200e-6
_JUDGED_AFTER = 1000


class LinuxAio:
    """Reads from one file into slots of memory, as many at a time as there are slots.

    Attributes:
      slot_bytes: the length of each slot.
      views: what was read, a memoryview of each slot.
    """

    def __init__(self, path: str, capacity: int, slot_bytes: int):
        """Opens the file.

        Args:
          path: the file.
          capacity: how many slots there are.
          slot_bytes: how much each takes, a multiple of `ALIGNMENT`.

        Raises:
          OSError: if this platform has no such calls, the file system no direct reads,
            or the user no permission.
        """
        self._context = ctypes.c_ulong(0)
        self._owner = os.getpid()
        machine = platform.machine()
        # A 32-bit Python on such a machine has calls of other numbers.
        is_64_bit = sys.maxsize > 2**32
        if sys.platform != "linux" or not is_64_bit or machine not in _SYSTEM_CALLS:
            raise OSError(errno.ENOSYS, f"no asynchronous I/O on {machine}", path)
        self._numbers = _SYSTEM_CALLS[machine]
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
        try:
            self._call("setup", capacity, ctypes.byref(self._context))
        except OSError:
            os.close(self._descriptor)
            raise
        # The pages of a memory map begin where a disk may write to. They are shared, as
        # a fork would leave of private ones a copy here, and what the disk writes in
        # the child (open(2), notes on O_DIRECT).
        size = capacity * slot_bytes
        pages = mmap.mmap(-1, size, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
        memory = np.frombuffer(pages, np.uint8)
        slots = memory.reshape(capacity, slot_bytes)
        self.slot_bytes = slot_bytes
        self.views = [slot.data for slot in slots]
        self._requests = np.zeros(capacity, _REQUEST)
        self._requests["data"] = np.arange(capacity)
        self._requests["descriptor"] = self._descriptor
        self._requests["buffer"] = _addresses(slots)
        self._pointers = _addresses(self._requests)
        self._events = np.zeros(capacity, _EVENT)
        self._num_submitted = 0
        self._num_submitted_slowly = 0

    def __del__(self) -> None:
        self.close()

    @property
    def is_inherited(self) -> bool:
        """Whether a parent process set it up: its reads are not this one's to use."""
        return os.getpid() != self._owner

    @property
    def is_slow(self) -> bool:
        """Whether to submit most reads takes about as long as to read."""
        return (
            self._num_submitted >= _JUDGED_AFTER
            and self._num_submitted_slowly > self._num_submitted / 2
        )

    def submit(
        self,
        slots: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        descriptors: npt.NDArray[np.int64] | None = None,
    ) -> int:
        """Starts to fill slots, each from an offset of its own.

        Args:
          slots: which of them; none that is under way.
          offsets: where to read from, multiples of `ALIGNMENT`, in bytes.
          lengths: how much to read, likewise; not more than a slot takes.
          descriptors: of files opened for direct reads, one for each slot; by default
            the file that this was made for. They may be closed as soon as this returns.

        Returns:
          How many were started; fewer than all if the kernel takes no more.
        """
        self._requests["offset"][slots] = offsets
        self._requests["length"][slots] = lengths
        if descriptors is not None:
            self._requests["descriptor"][slots] = descriptors
        pointers = self._pointers[slots]
        num_started = 0
        start = time.perf_counter()
        try:
            while num_started < len(slots):
                num_started += self._call(
                    "submit",
                    self._context,
                    ctypes.c_long(len(slots) - num_started),
                    _pointer(pointers[num_started:]),
                )
        except OSError:
            pass
        seconds = time.perf_counter() - start
        self._num_submitted += num_started
        if seconds > num_started * _SLOW_SECONDS_A_READ:
            self._num_submitted_slowly += num_started
        return num_started

    def wait(
        self, at_least: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Waits for some of what is under way.

        Args:
          at_least: how many to wait for; no more than are under way.

        Returns:
          The slots that are done, and for each how many bytes were read:
          fewer than asked for where the file ends, below zero where the disk failed.
        """
        while True:
            try:
                num_done = self._call(
                    "getevents",
                    self._context,
                    ctypes.c_long(at_least),
                    ctypes.c_long(len(self._events)),
                    _pointer(self._events),
                    None,
                )
            except InterruptedError:
                continue  # By a signal, whose handler Python calls between two lines.
            done = self._events[:num_done]
            return done["data"].astype(np.int64), done["result"].copy()

    def close(self) -> None:
        """Waits until nothing is written to the slots any more, and closes the file."""
        if self._context:
            if not self.is_inherited:
                self._call("destroy", self._context)
            self._context = ctypes.c_ulong(0)
            os.close(self._descriptor)

    def _call(self, name: str, *arguments: object) -> int:
        result: int = self._libc.syscall(ctypes.c_long(self._numbers[name]), *arguments)
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


def _addresses(
    array: npt.NDArray[np.void] | npt.NDArray[np.uint8],
) -> npt.NDArray[np.uint64]:
    """Returns where each row of an array lies in memory."""
    starts = array.ctypes.data + np.arange(len(array)) * array.strides[0]
    return starts.astype(np.uint64)


def _pointer(array: npt.NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
