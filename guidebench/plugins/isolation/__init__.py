"""Where a plugin's code runs: named, put back, ended in time."""
