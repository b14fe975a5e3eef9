"""The machine: caches, threads, compiled programs and their precision."""
