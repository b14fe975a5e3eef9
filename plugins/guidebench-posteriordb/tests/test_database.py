"""Reading a database from a folder, the environment and the network, and what is said where one is broken."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from guidebench import RequestError
from guidebench.config import make_config
from guidebench.engine.keys.fingerprint import fingerprint
from guidebench_posteriordb import download
from guidebench_posteriordb.catalogue import POSTERIORS
from guidebench_posteriordb.database import VARIABLE, Database, locate
from guidebench_posteriordb.draws import gathered

BY_NAME = {one.name: one for one in POSTERIORS}

SCHOOLS = "eight_schools-eight_schools_noncentered"


def write_zip(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(file.name.removesuffix(".zip"), json.dumps(value))


def write_json(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A database with the eight schools alone; its draws are independent, and not of the posterior."""
    rng = np.random.default_rng(0)
    chains = []
    for _ in range(4):
        tau, mu = np.exp(rng.normal(size=500)), rng.normal(4, 3, size=500)
        theta = {f"theta[{school + 1}]": (mu + tau * rng.normal(size=500)).tolist() for school in range(8)}
        chains.append({**theta, "mu": mu.tolist(), "tau": tau.tolist()})
    for name in (SCHOOLS, "eight_schools-eight_schools_centered"):
        told = {"name": name, "data_name": "eight_schools", "reference_posterior_name": SCHOOLS}
        write_json(tmp_path / f"posteriors/{name}.json", told)
    data = {"J": 8, "y": [28, 8, -3, 7, -1, 1, 18, 12], "sigma": [15, 10, 16, 11, 9, 11, 10, 18]}
    write_zip(tmp_path / "data/data/eight_schools.json.zip", data)
    write_zip(tmp_path / f"reference_posteriors/draws/draws/{SCHOOLS}.json.zip", chains)
    info = {"diagnostics": {"divergent_transitions": [0, 0, 0, 0]}}
    write_json(tmp_path / f"reference_posteriors/draws/info/{SCHOOLS}.info.json", info)
    return tmp_path


def test_there_are_25_posteriors_under_names_of_their_own() -> None:
    assert len(POSTERIORS) == len(BY_NAME) == 25
    assert all(one.declaration().name == f"posteriordb/{one.name}" for one in POSTERIORS)


def test_a_folder_a_clone_and_the_environment(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate(str(folder)).folder == folder
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "posterior_database").symlink_to(folder, target_is_directory=True)
    assert locate(str(clone)).folder == clone / "posterior_database"
    monkeypatch.setenv(VARIABLE, str(folder))
    assert locate(None).folder == folder
    assert BY_NAME[SCHOOLS].load(make_config({})).kwargs["y"].shape == (8,)
    assert BY_NAME[SCHOOLS].load(make_config({"posteriordb": str(folder)})).kwargs["y"].shape == (8,)


def test_without_a_database_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(RequestError, match=r"--posteriordb PATH, as GUIDEBENCH_POSTERIORDB .* download fetches"):
        locate(None)
    with pytest.raises(RequestError, match=r"--posteriordb .*nowhere: it is no folder"):
        locate(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match="it has no folders posteriors and data; expected is a clone"):
        locate(str(tmp_path / "empty"))


def test_draws_become_sites(folder: Path) -> None:
    database = locate(str(folder))
    centred = BY_NAME["eight_schools-eight_schools_centered"].problem(database).reference_draws
    noncentred = BY_NAME[SCHOOLS].problem(database).reference_draws
    assert centred is not None
    assert noncentred is not None
    theirs, ours = centred().chains, noncentred().chains
    assert theirs["theta"].shape == ours["theta_trans"].shape == (4, 500, 8)
    assert centred().divergences == 0
    back = ours["mu"][..., None] + ours["tau"][..., None] * ours["theta_trans"]
    np.testing.assert_allclose(back, theirs["theta"])


def test_indices_are_put_in_order_not_in_that_of_their_letters() -> None:
    names = [f"b[{index}]" for index in (10, 2, 1, 9, 3, 4, 5, 6, 7, 8)]
    found = gathered([{name: [float(name[2:-1])] for name in names}])["b"]
    assert found.tolist() == [[[float(index) for index in range(1, 11)]]]
    matrix = gathered([{f"m[{i},{j}]": [10.0 * i + j] for i in (1, 2) for j in (1, 2, 3)}])["m"]
    assert matrix[0, 0].tolist() == [[11, 12, 13], [21, 22, 23]]


@pytest.mark.parametrize("names", [["b[1]", "b[3]"], ["b", "b[1]"], ["b[0]", "b[1]"], ["1b"]])
def test_indices_that_leave_something_out_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"indices|no name"):
        gathered([{name: [0.0] for name in names}])


def test_a_damaged_database_is_named_by_its_file(folder: Path) -> None:
    database = locate(str(folder))
    with pytest.raises(RequestError, match=r"arK-arK\.json: there is no such file"):
        BY_NAME["arK-arK"].problem(database)
    draws = folder / f"reference_posteriors/draws/draws/{SCHOOLS}.json.zip"
    draws.write_bytes(b"no zip file")
    with pytest.raises(RequestError, match=r"\.json\.zip cannot be read"):
        database.draws(SCHOOLS)
    write_zip(draws, [{"mu": [0.0], "tau": [1.0]}])
    with pytest.raises(RequestError, match="not as expected: 'theta'"):
        BY_NAME[SCHOOLS].problem(database)
    write_json(folder / f"posteriors/{SCHOOLS}.json", {"data_name": "../../secret"})
    with pytest.raises(RequestError, match="it has no data_name"):
        database.data(SCHOOLS)


def test_a_problem_has_a_fingerprint_and_other_draws_give_it_another(folder: Path) -> None:
    def key() -> str:
        problem = BY_NAME[SCHOOLS].problem(locate(str(folder)))
        return fingerprint(problem.model, problem.kwargs, problem.reference_draws)

    before = key()
    assert key() == before
    file = folder / f"reference_posteriors/draws/draws/{SCHOOLS}.json.zip"
    chains, _ = locate(str(folder)).draws(SCHOOLS)
    write_zip(file, [{**chains[0], "mu": [value + 1 for value in chains[0]["mu"]]}, *chains[1:]])
    assert key() != before


# From the network


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}/"
        serving.shutdown()


def test_what_is_needed_is_fetched_and_checked(
    folder: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pooch = pytest.importorskip("pooch")
    ours = [f"posteriors/{SCHOOLS}.json", "data/data/eight_schools.json.zip"]
    sums = {name: pooch.file_hash(folder / name) for name in ours}
    monkeypatch.setattr(download, "registry", lambda: sums)
    kept = download.fetch(tmp_path / "kept", server)
    assert Database(kept).data(SCHOOLS)["J"] == 8
    (folder / ours[0]).unlink()  # what is there is not fetched again
    assert download.fetch(tmp_path / "kept", server) == kept
    with pytest.raises(RequestError, match=r"--posteriordb download: http.*could not be fetched"):
        download.fetch(tmp_path / "anew", server)
    monkeypatch.setattr(download, "registry", lambda: {ours[1]: "0" * 64})
    with pytest.raises(RequestError, match="hash"):
        download.fetch(tmp_path / "wrong", server)


def test_the_checksums_are_of_the_files_that_are_needed(database: Database) -> None:
    known = download.registry()
    assert set(known) == set(download.needed(database))
    assert all(len(value) == 64 for value in known.values())
