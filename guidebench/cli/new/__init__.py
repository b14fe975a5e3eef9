"""A new guide plugin: a distribution that installs, passes its tests and shows in ``guidebench list`` as it is."""

from guidebench.cli.new.create import create

__all__ = ["create"]
