"""A run of guides on problems: planned, executed, collected."""

from guidebench.engine.executors import Executor
from guidebench.engine.request import Request
from guidebench.engine.run import compare

__all__ = ["Executor", "Request", "compare"]
