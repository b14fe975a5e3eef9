"""The loss of a task: its process died, or its time is over."""

from __future__ import annotations

from guidebench.plugins.isolation.whereabouts import Where


class TaskLostError(Exception):
    """A task has come to nothing, though nobody raised an exception.

    Parameters
    ----------
    how : str
        What became of it, in words.
    where : Where, optional
        Whose code was running, as far as that is known.
    again : bool
        Whether it may do better in another process.
    """

    def __init__(self, how: str, where: Where | None = None, *, again: bool = False) -> None:
        super().__init__(how)
        self.how, self.where, self.again = how, where, again
