"""A function of the user's from a file or a module, and one line where it cannot be had."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guidebench.config.errors import RequestError
from guidebench.request.loading.objects import is_object_path, load_object, split_object_path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten_modules: None) -> Iterator[Path]:
    """Be the working directory; leave the path and the modules as they were."""
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield tmp_path
    assert sys.path == path
    assert not list(tmp_path.glob("__pycache__/own*"))


def write(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)


def test_a_file_is_imported_once_and_again_when_it_changed() -> None:
    write("own.py", "def model(): return 1")
    first = load_object("own.py:model")
    assert load_object(str(Path("own.py").absolute()) + ":model") is first
    assert sys.modules[first.__module__].__dict__["model"] is first
    write("own.py", "def model(): return 2")
    assert (first(), load_object("own.py:model")()) == (1, 2)


def test_each_file_sees_the_modules_beside_it() -> None:
    for place in ("one", "two"):
        write(f"{place}/own.py", "import guidebench_test_helpers\ndef model(): return guidebench_test_helpers.where")
        write(f"{place}/guidebench_test_helpers.py", f"where = {place!r}")
    assert load_object("one/own.py:model")() == "one"
    assert load_object("two/own.py:model")() == "two"
    assert load_object("one/own.py:model")() == "one"


def test_dataclasses_and_annotations_find_their_module() -> None:
    write(
        "own.py",
        "from __future__ import annotations\nimport dataclasses\n"
        "@dataclasses.dataclass\nclass Prior:\n    scale: float = 1\n"
        "def model(prior: Prior | None = None): return Prior()",
    )
    assert load_object("own.py:model")().scale == 1


def test_a_module_is_found_in_the_working_directory_and_on_the_path() -> None:
    write("guidebench_test_package/__init__.py", "")
    write("guidebench_test_package/models.py", "from . import parts\ndef model(): return parts.N")
    write("guidebench_test_package/parts.py", "N = 3")
    assert load_object("guidebench_test_package.models:model")() == 3
    assert load_object("os.path:join") is __import__("os").path.join


def test_a_declaration_or_several_are_no_functions_but_fine() -> None:
    write("own.py", "import guidebench as gb\nG = gb.Guide(name='g', build=lambda model: model)\nBOTH = [G, G]")
    assert load_object("own.py:G").name == "g"
    assert len(load_object("own.py:BOTH")) == 2


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("own.py", ("own.py", None)),
        ("own.py:guide", ("own.py:guide", None)),
        ("a/b c/own.py:guide", ("a/b c/own.py:guide", None)),
        ("own.py:guide:scale=1,file=b.py:x", ("own.py:guide", "scale=1,file=b.py:x")),
        ("own.py:", ("own.py:", None)),
        ("pkg.module:guide", ("pkg.module:guide", None)),
        ("pkg.sub.module:guide:scale=0.1", ("pkg.sub.module:guide", "scale=0.1")),
    ],
)
def test_what_looks_like_a_path_to_a_function(text: str, parts: tuple[str, str | None]) -> None:
    assert is_object_path(text)
    assert split_object_path(text) == parts


@pytest.mark.parametrize("text", ["auto_normal", "auto_normal:scale=0.1", "two-*", "acme/flow:rank=2", "all", "", ":"])
def test_what_does_not(text: str) -> None:
    assert not is_object_path(text)
    assert split_object_path(text) == (text, None)


OWN = "import math\nN = 3\ndef model(): pass\ndef other(): pass\nclass Thing: pass\ndef _hidden(): pass\n"


@pytest.mark.parametrize(
    ("text", "content", "message"),
    [
        ("no.py:model", None, "no.py: there is no such file"),
        ("owm.py:model", OWN, "owm.py: there is no such file; did you mean own.py?"),
        ("folder:model", None, "folder: that is a folder; name a file, as folder/FILE.py:NAME"),
        ("folder/:model", None, "folder/: that is a folder; name a file, as folder/FILE.py:NAME"),
        ("words.txt:model", None, "words.txt: a model or guide comes from a .py file"),
        ("own.py", OWN, "own.py: name what to take from it, as own.py:NAME; it defines model, other, Thing"),
        ("own.py:", OWN, "own.py: name what to take from it, as own.py:NAME; it defines model, other, Thing"),
        ("own.py", "N = 3", "own.py: name what to take from it, as own.py:NAME; it defines no function"),
        ("own.py:modle", OWN, "own.py:modle: own.py has no 'modle'; did you mean 'model'?"),
        ("own.py:zzz", OWN, "own.py:zzz: own.py has no 'zzz'; it defines model, other, Thing"),
        ("own.py:N", OWN, "own.py:N: 'N' is no function but of type int; it defines model, other, Thing"),
        ("own.py:f", "\n\ndef f(:", "own.py is not valid Python: invalid syntax (own.py:3)"),
        ("own.py:f", "x = 1\n  y = 2", "own.py is not valid Python: unexpected indent (own.py:2)"),
        ("own.py:f", "\n1 / 0", "own.py cannot be imported: ZeroDivisionError: division by zero (own.py:2)"),
        ("own.py:f", "raise ValueError('a\\n  b')", "own.py cannot be imported: ValueError: a b (own.py:1)"),
        ("own.py:f", "raise ValueError", "own.py cannot be imported: ValueError (own.py:1)"),
        ("own.py:f", "raise SystemExit(3)", "own.py cannot be imported: SystemExit: 3 (own.py:1)"),
        ("own.py:f", "import json\njson.loads('')", "own.py cannot be imported: JSONDecodeError: Expecting value: "),
        (
            "own.py:f",
            "import guidebench_test_nowhere",
            "own.py cannot be imported: ModuleNotFoundError: No module named 'guidebench_test_nowhere' (own.py:1)",
        ),
        (
            "own.py:f",
            "\nimport beside",
            "own.py cannot be imported: ZeroDivisionError: division by zero (beside.py:3)",
        ),
        (
            "guidebench_test_nowhere.models:f",
            None,
            "guidebench_test_nowhere.models: there is no module 'guidebench_test_nowhere'; a file is named as FILE.py:",
        ),
        ("os.paths:join", None, "os.paths: there is no module 'os.paths'"),
        ("os.path:jion", None, "os.path:jion: os.path has no 'jion'; did you mean 'join'?"),
        ("beside.models:f", None, "beside.models cannot be imported: ZeroDivisionError: division by zero (beside.py:3"),
        ("not a module:f", None, "not a module: neither a .py file nor the name of a module"),
    ],
)
def test_what_cannot_be_had_is_explained(text: str, content: str | None, message: str) -> None:
    Path("folder").mkdir()
    write("words.txt", "def model(): pass")
    write("beside.py", "x = 1\n\n1 / 0")
    if content is not None:
        write("own.py", content)
    with pytest.raises(RequestError) as caught:
        load_object(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
