"""How far to read on behind each small read: as far as it pays."""

from __future__ import annotations

# So much memory all stretches under way may take together.
_MEMORY = 256 << 20
_LONGEST_STRETCH = 8 << 20


def stretch_of(in_flight: int) -> int:
    """Returns how long a stretch is where so many are read at once, in bytes."""
    return min(_LONGEST_STRETCH, _MEMORY // max(1, in_flight))


class ReadOn:
    """Finds out whether to read steps alone or whole stretches, by doing both.

    Who goes through a file step by step, such as from header to header, may ask for
    each step alone, or for a stretch that has several of them. The first spares bytes,
    the second requests. Which is quicker depends on how long the store takes for a
    request, how many bytes a second come in, what a request costs this machine, and how
    many reads share all that. So both are done for a while at the start, and again each
    time that twice as many reads are under way; what gave more steps a second goes on.

    Attributes:
      size: how much to read at once, in bytes; 0 for each step alone.
    """

    def __init__(self, in_flight: int):
        """Begins with steps alone.

        Args:
          in_flight: how many reads there are at the most.
        """
        self.size = 0
        self._stretch = stretch_of(in_flight)
        self._compared_at = 0
        self._turns: list[_Turn] = []
        self._past: list[_Turn] = []
        self._num_steps = 0
        self._num_short = 0

    def note_step(self, num_bytes: int) -> None:
        """Takes note of how far the next step was from the read before it."""
        self._num_steps += 1
        # Of a few steps to the stretch, all but one come for free.
        self._num_short += num_bytes < self._stretch / 2

    def note(self, num_reads: int, num_steps: int, under_way: int, now: float) -> None:
        """Takes note of reads that ended, and chooses what to do next.

        Args:
          num_reads: how many ended.
          num_steps: how many steps were answered, by these or by earlier ones.
          under_way: how many reads there were at once before these ended.
          now: the time in seconds.
        """
        if under_way >= 2 * self._compared_at:
            self._compare(under_way)
        if not self._turns:
            return
        turn = self._turns[0]
        turn.note(num_reads, num_steps, now)
        if not turn.is_over:
            return
        self._past.append(self._turns.pop(0))
        if not self._is_worth_trying():
            self._turns = []
        if self._turns:
            self.size = self._turns[0].size
        else:
            self.size = max(self._past, key=lambda past: past.steps_a_second).size

    def _compare(self, under_way: int) -> None:
        self._compared_at = under_way
        # What was under way before counts for neither, nor do steps that it answers.
        self._turns = [
            _Turn(size, settled_after=2 * under_way, ends_after=4 * under_way)
            for size in (0, self._stretch)
        ]
        self._past = []
        self.size = 0

    def _is_worth_trying(self) -> bool:
        # Of an outer tar the steps are as long as its inner ones.
        return self._num_short > self._num_steps / 2


class _Turn:
    def __init__(self, size: int, settled_after: int, ends_after: int):
        self.size = size
        self.is_over = False
        self._settled_after = settled_after
        self._ends_after = ends_after
        self._num_reads = 0
        self._num_steps = 0
        self._since: float | None = None
        self._seconds = 0.0

    @property
    def steps_a_second(self) -> float:
        return self._num_steps / max(self._seconds, 1e-9)

    def note(self, num_reads: int, num_steps: int, now: float) -> None:
        self._num_reads += num_reads
        if self._since is not None:
            self._num_steps += num_steps
            self._seconds = now - self._since
            self.is_over = self._num_reads >= self._ends_after
        elif self._num_reads >= self._settled_after:
            self._since = now
