"""Relative paths in a configuration file: they start at its folder, whatever the working directory is."""

from __future__ import annotations

from pathlib import Path

#: What a reference may be, and the files it may be read from.
REFERENCES = ("auto", "exact", "mixture", "chains", "nuts", "none")
REFERENCE_FILES = (".nc", ".npz", ".csv")

#: In the place of the folder of a posterior database: fetch it.
DOWNLOAD = "download"


def file(text: str, folder: Path) -> str:
    """Return the path of a file."""
    return (folder / text).as_posix()


def own(text: str, folder: Path) -> str:
    """Return ``FILE.py`` or ``FILE.py:OBJECT`` with the path of the file, and any other name as it is."""
    stem, ending, rest = text.partition(".py")
    return file(stem + ending, folder) + rest if ending and rest[:1] in ("", ":") else text


def reference(text: str, folder: Path) -> str:
    """Return a reference, which is a file or a word."""
    return file(text, folder) if is_reference_file(text) else text


def is_reference_file(text: str) -> bool:
    """Return whether a reference is read from a file."""
    return text not in REFERENCES and Path(text).suffix.lower() in REFERENCE_FILES


def database(text: str, folder: Path) -> str:
    """Return a posterior database, which is a folder or the word to fetch it."""
    return text if text == DOWNLOAD else file(text, folder)
