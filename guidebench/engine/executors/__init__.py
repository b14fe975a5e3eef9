"""What runs the tasks of a run: this process, others on this machine, or a cluster.

An executor takes jobs and returns futures, in the words of :mod:`concurrent.futures`; it knows neither what a job
is about nor how to show it.
"""

from guidebench.engine.executors.base import Executor, Input, Job

__all__ = ["Executor", "Input", "Job"]
