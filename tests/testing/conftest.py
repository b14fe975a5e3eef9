"""Compiling is most of what the contract suite takes: programs are kept where the command line keeps them."""

from __future__ import annotations

import os

from guidebench.inference.device import cache

if os.environ.get(cache.VARIABLE):
    cache.enable()
