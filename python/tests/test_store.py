"""Both stores keep one contract; the bucket's through Google's own client."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import gcs_emulator
import small_warehouse
from gcs_emulator import Emulator
from nba_ml import artefact, prediction, registry, training
from nba_ml import store as stores
from nba_ml.artefact import Version
from nba_ml.cli import cli
from nba_ml.settings import Home, UserError
from nba_ml.store import NEW, Bucket, Folder, Missing, Store, Taken, open_store, resolve
from test_training import trainer

ROOT = "gs://nba/team/models"
FEATURES = artefact.FeatureSet("v1", tuple(small_warehouse.FEATURES))
BOTH = pytest.mark.parametrize("store", ["folder", "bucket"], indirect=True)


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """An emulator with the empty bucket `nba`; Google's client finds it."""
    with gcs_emulator.running() as emulator:
        emulator.create_bucket("nba")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
        yield emulator


@pytest.fixture
def bucket(gcs: Emulator) -> Bucket:
    return Bucket(ROOT, patience=20)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "bucket":
        return request.getfixturevalue("bucket")
    return Folder(tmp_path / "models")


@pytest.fixture
def cloud_home(home: Home, gcs: Emulator, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A state folder of one's own whose models are kept in the bucket."""
    monkeypatch.setenv("NBA_ML_MODEL_STORE", ROOT)
    return replace(home, model_store=ROOT)


def age(gcs: Emulator, name: str, hours: float) -> None:
    """Make an object of the store `hours` old."""
    past = time.gmtime(time.time() - hours * 3600)
    written = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", past)
    gcs.resource("nba", f"team/models/{name}")["updated"] = written


# the contract


@BOTH
def test_what_was_written_is_read(store: Store) -> None:
    first = store.write("staging/a.json", b"one")
    assert store.read("staging/a.json") == (b"one", first)
    second = store.write("staging/a.json", b"two", first)
    assert store.read("staging/a.json") == (b"two", second) and second != first
    store.write("archive/b.json", b"")
    found = [name for name in store.names() if "/" in name]
    assert found == ["archive/b.json", "staging/a.json"]
    store.delete("staging/a.json")
    store.delete("staging/a.json")
    assert "staging/a.json" not in store.names()
    assert store.read("archive/b.json")[0] == b""


@BOTH
def test_a_file_is_created_once(store: Store) -> None:
    store.write("staging/a.json", b"winner")
    with pytest.raises(Taken, match="wrote .*staging/a.json; that file is kept. Try"):
        store.write("staging/a.json", b"loser")
    assert store.read("staging/a.json")[0] == b"winner"


@BOTH
def test_of_two_creators_one_wins(store: Store) -> None:
    for turn in range(5):
        name, won, lost = f"staging/{turn}.json", [], []
        start = threading.Barrier(2)

        def create(content: bytes, name: str, start: Any, won: Any, lost: Any) -> None:
            writer = Folder(store.root) if isinstance(store, Folder) else Bucket(ROOT)
            start.wait()
            try:
                writer.write(name, content)
                won.append(content)
            except Taken:
                lost.append(content)

        racers = [
            threading.Thread(target=create, args=(content, name, start, won, lost))
            for content in (b"a", b"b")
        ]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert len(won) == len(lost) == 1
        assert store.read(name)[0] == won[0]


@BOTH
def test_a_stale_generation_is_refused_and_the_winner_stays(store: Store) -> None:
    read = store.write("config.yaml", b"old")
    store.write("config.yaml", b"winner", read)
    with pytest.raises(Taken, match="config.yaml"):
        store.write("config.yaml", b"loser", read)
    assert store.read("config.yaml")[0] == b"winner"
    store.delete("config.yaml")
    with pytest.raises(Taken, match="config.yaml"):
        store.write("config.yaml", b"loser", read)
    assert "config.yaml" not in store.names()


@BOTH
def test_increments_of_many_writers_are_all_kept(store: Store) -> None:
    store.write("count", b"0")

    def count() -> None:
        mine = Folder(store.root) if isinstance(store, Folder) else Bucket(ROOT)
        done = 0
        while done < 10:
            content, generation = mine.read("count")
            try:
                mine.write("count", b"%d" % (int(content) + 1), generation)
                done += 1
            except Taken:
                continue

    writers = [threading.Thread(target=count) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert store.read("count")[0] == b"30"


@BOTH
def test_a_missing_file_is_named(store: Store) -> None:
    with pytest.raises(Missing, match=f"no {store.uri('staging/a.json')}.*nba-ml stat"):
        store.read("staging/a.json")


@BOTH
def test_a_lock_is_exclusive_and_its_living_holder_is_left_alone(store: Store) -> None:
    held = store.lock("staging/a.lock")
    with pytest.raises(Taken):
        store.lock("staging/a.lock")
    assert store.abandoned("staging/a.lock") is None
    again = store.lock("staging/a.lock", held)
    assert again != held and store.abandoned("staging/a.lock") is None
    store.delete("staging/a.lock")
    assert store.abandoned("staging/a.lock") is None
    store.lock("staging/a.lock")


def test_where_the_store_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gcs: Emulator
) -> None:
    home = Home(tmp_path)
    assert open_store(home).uri("a/b") == str(tmp_path / "models/a/b")
    cloud = replace(home, model_store="gs://nba/team/models/")
    assert open_store(cloud).uri("a/b") == "gs://nba/team/models/a/b"
    assert open_store(replace(home, model_store="gs://nba")).uri("a") == "gs://nba/a"
    for place in (home, cloud):
        for location in ("staging/a.json", "gs://nba/x/staging/a.json"):
            where, name = resolve(place, location)
            assert name == "staging/a.json"
            assert isinstance(where, Bucket) == location.startswith("gs://")
    for wrong in (
        "s3://nba/models",
        "nba/models",
        "gs://",
        "gs:///models",
        "gs://a-/b",
    ):
        with pytest.raises(UserError, match=f"{wrong}. Write gs://bucket/models"):
            open_store(replace(home, model_store=wrong))


# the bucket


def test_prefixes_are_apart(gcs: Emulator) -> None:
    for root in ("gs://nba", "gs://nba/a", "gs://nba/ab", "gs://nba/a/b"):
        Bucket(root).write("x.json", root.encode())
    assert Bucket("gs://nba/a").names() == ["b/x.json", "x.json"]
    assert Bucket("gs://nba/ab").read("x.json")[0] == b"gs://nba/ab"
    assert len(Bucket("gs://nba").names()) == 4


def test_a_large_file_is_uploaded_in_parts(bucket: Bucket, gcs: Emulator) -> None:
    content = bytes(range(256)) * 36_000  # above the client's 8 MiB
    generation = bucket.write("big.parquet", content)
    assert "upload_partial" in gcs.requests
    assert bucket.read("big.parquet") == (content, generation)
    with pytest.raises(Taken):
        bucket.write("big.parquet", content + b"more")


def test_a_corrupt_download_is_refused(bucket: Bucket, gcs: Emulator) -> None:
    bucket.write("a.json", b"whole")
    gcs.resource("nba", "team/models/a.json")["crc32c"] = "AAAAAA=="
    with pytest.raises(UserError, match="models/a.json failed: Checksum mismatch"):
        bucket.read("a.json")


def test_a_corrupt_upload_is_refused(
    bucket: Bucket, gcs: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = gcs_emulator.objects._crc32c
    monkeypatch.setattr(
        gcs_emulator.objects, "_crc32c", lambda content: honest(content + b"!")
    )
    with pytest.raises(UserError, match="models/a.json failed: 400"):
        bucket.write("a.json", b"whole")
    assert bucket.names() == []


def test_outages_are_waited_out(bucket: Bucket, gcs: Emulator) -> None:
    gcs.outages += ["before", "before"]
    generation = bucket.write("a.json", b"one")
    assert gcs.requests == ["insert"] * 3
    for ask, answer in (
        (lambda: bucket.read("a.json"), (b"one", generation)),
        (bucket.names, ["a.json"]),
    ):
        gcs.outages += ["before"]
        assert ask() == answer
    gcs.outages += ["before"]
    bucket.delete("a.json")
    assert bucket.names() == []


def test_a_lost_answer_is_no_lost_race(bucket: Bucket, gcs: Emulator) -> None:
    gcs.outages += ["after"]
    first = bucket.write("a.json", b"mine")
    assert bucket.read("a.json") == (b"mine", first)
    gcs.outages += ["after"]
    second = bucket.write("a.json", b"mine, too", first)
    assert bucket.read("a.json") == (b"mine, too", second)
    gcs.outages += ["", "after"]
    bucket.delete("a.json")
    assert bucket.names() == []


def test_a_deletion_never_hits_what_came_after(
    bucket: Bucket, gcs: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.cloud.storage import Blob

    bucket.write("a.json", b"old")
    honest = Blob.delete

    def late(blob: Blob, **options: Any) -> None:
        honest(blob, **options)
        Bucket(ROOT).write("a.json", b"new")
        honest(blob, **options)  # the repetition of a request whose answer was lost

    monkeypatch.setattr(Blob, "delete", late)
    bucket.delete("a.json")
    assert bucket.read("a.json")[0] == b"new"


def test_a_cut_download_is_resumed(bucket: Bucket, gcs: Emulator) -> None:
    content = bytes(range(256)) * 4_000
    generation = bucket.write("a.json", content)
    gcs.outages += ["cut"]
    assert bucket.read("a.json") == (content, generation)
    assert gcs.requests.count("download") == 2


def test_a_dead_endpoint_is_said_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    begun = time.monotonic()
    for ask in (
        Bucket(ROOT, patience=1).names,
        lambda: Bucket(ROOT, patience=1).read("a.json"),
        lambda: Bucket(ROOT, patience=1).write("a.json", b""),
    ):
        with pytest.raises(
            UserError, match="gs://nba/team/models/.* failed: .*network"
        ):
            ask()
    assert time.monotonic() - begun < 15


def test_a_missing_bucket_is_said(gcs: Emulator) -> None:
    lost = Bucket("gs://nowhere/models", patience=1)
    for ask in (
        lost.names,
        lambda: lost.read("a.json"),
        lambda: lost.write("a.json", b""),
    ):
        with pytest.raises(UserError, match="no gs://nowhere/models/.*does not exist"):
            ask()


def test_missing_rights_and_login_are_said(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        gcs_emulator,
        "_refusal",
        lambda *_: gcs_emulator.HTTPStatus.FORBIDDEN,
    )
    for ask in (bucket.names, lambda: bucket.read("a"), lambda: bucket.write("a", b"")):
        with pytest.raises(UserError, match="failed: 403.*login"):
            ask()
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(UserError, match="/nowhere/key.json was not found.*login"):
        Bucket(ROOT).names()


def test_without_googles_packages_the_next_step_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud", None)
    with pytest.raises(UserError, match="make bigquery"):
        Bucket(ROOT).names()


def test_a_local_store_needs_none_of_googles_packages() -> None:
    script = (
        "import sys; from nba_ml import prediction, training;"
        "print([n for n in sys.modules if n.startswith(('google.', 'requests'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() in ("[]", "['google.cloud']")  # a namespace, if any


# the emulator's own honesty


def test_the_emulator_refuses_a_planted_lost_race(gcs: Emulator) -> None:
    from google.api_core.exceptions import NotFound, PreconditionFailed
    from google.cloud.storage import Client

    blob = Client(project=None).bucket("nba").blob("a")
    with pytest.raises(PreconditionFailed):
        blob.upload_from_string(b"x", if_generation_match=1)
    blob.upload_from_string(b"one", if_generation_match=0)
    first = blob.generation
    with pytest.raises(PreconditionFailed):
        blob.upload_from_string(b"two", if_generation_match=0)
    blob.upload_from_string(b"three", if_generation_match=first)
    stale: list[Callable[..., Any]] = [
        lambda **wanted: blob.upload_from_string(b"four", **wanted),
        lambda **wanted: blob.upload_from_string(bytes(9_000_000), **wanted),
        blob.download_as_bytes,
        blob.reload,
        blob.patch,
        lambda **wanted: blob.bucket.delete_blob("a", **wanted),
    ]
    for ask in stale:
        with pytest.raises(PreconditionFailed):
            ask(if_generation_match=first)
    blob.reload()
    with pytest.raises(PreconditionFailed):
        blob.upload_from_string(b"five", if_generation_not_match=blob.generation)
    url = f"{gcs.url}/storage/v1/b/nba/o/a?ifGenerationNotMatch={blob.generation}"
    with pytest.raises(urllib.request.HTTPError, match="304"):
        urllib.request.urlopen(url)
    with pytest.raises(NotFound):
        blob.bucket.delete_blob("a", generation=first)
    assert blob.download_as_bytes() == b"three"
    assert blob.generation > first


def test_the_emulator_refuses_a_race_lost_between_parts(
    gcs: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.api_core.exceptions import PreconditionFailed
    from google.cloud.storage import Blob, Client

    blob = Client(project=None).bucket("nba").blob("a")
    honest = Blob._initiate_resumable_upload

    def overtaken(*arguments: Any, **options: Any) -> Any:
        begun = honest(*arguments, **options)
        Client(project=None).bucket("nba").blob("a").upload_from_string(b"faster")
        return begun

    monkeypatch.setattr(Blob, "_initiate_resumable_upload", overtaken)
    with pytest.raises(PreconditionFailed):
        blob.upload_from_string(bytes(9_000_000), if_generation_match=0)
    assert blob.download_as_bytes() == b"faster"


# models in the bucket


def test_a_model_in_the_bucket_predicts_as_a_local_one(
    cloud_home: Home, trained: tuple[Home, training.Trained]
) -> None:
    local_home = Home(cloud_home.root / "local")
    shutil.copytree(trained[0].root, local_home.root)
    done = training.train(cloud_home, small_warehouse.config())
    location = f"{ROOT}/staging/xgboost_v1.0.0.json"
    assert done.path == location
    [row] = registry.status(cloud_home)["models"]
    assert row["gcs_path"] == location
    assert open_store(cloud_home).names() == [
        f"staging/xgboost_v1.0.0.{end}"
        for end in ("card.html", "card.md", "frame.parquet", "json", "meta.json")
    ]
    assert not cloud_home.models.exists()
    cloud = prediction.predict(cloud_home)
    local = prediction.predict(local_home)
    columns = ["player_lookup", "predicted_points", "predicted_low", "confidence"]
    assert cloud.rows[columns].equals(local.rows[columns]) and len(cloud.rows) == 60
    assert done.manifest.artifact_sha256 == trained[1].manifest.artifact_sha256
    result = CliRunner().invoke(cli, ["status"])
    assert result.exit_code == 0 and f"Models:    {ROOT}" in result.output
    assert "Orphan" not in result.output
    # the registry knows where a model is, wherever new ones go
    elsewhere = replace(cloud_home, model_store=None)
    assert len(prediction.predict(elsewhere).rows) == 60
    again = training.train(elsewhere, small_warehouse.config(), if_changed=True)
    assert (again.is_new, again.path) == (False, location)
    assert registry.status(elsewhere)["orphans"] == []


def test_a_local_model_is_found_when_new_ones_go_to_the_bucket(
    trained_home: Home, gcs: Emulator
) -> None:
    cloud = replace(trained_home, model_store=ROOT)
    assert len(prediction.predict(cloud).rows) == 60
    done = training.train(cloud, small_warehouse.config(), if_changed=True)
    assert not done.is_new and done.path.startswith(str(trained_home.models))
    assert registry.status(cloud)["orphans"] == []
    done = training.train(cloud, small_warehouse.config(), force=True)
    assert done.model_id == "xgboost_v1.0.1" and done.path.startswith(ROOT)
    open_store(cloud).delete("staging/xgboost_v1.0.1.json")
    [lost] = registry.status(cloud)["orphans"]
    assert lost == f"xgboost_v1.0.1: registered, but {done.path} is missing"


def test_a_tampered_model_in_the_bucket_is_refused(cloud_home: Home) -> None:
    done = training.train(cloud_home, small_warehouse.config())
    store, name = resolve(cloud_home, done.path)
    content, generation = store.read(name)
    store.write(name, content.replace(b"noise", b"voice"), generation)
    with pytest.raises(UserError, match=f"{done.path} has sha256"):
        prediction.predict(cloud_home)


@BOTH
def test_a_failing_trainer_takes_its_reservation_back(store: Store) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        artefact.reserve(store, set, lambda _: Version(1, 0, 0)) as (_, name, _),
    ):
        assert artefact.reservations(store) == ["staging/xgboost_v1.0.0.lock"]
        store.write(name.replace(".json", ".frame.parquet"), b"half")
        raise ZeroDivisionError
    assert [name for name in store.names() if "/" in name] == []


@BOTH
def test_a_faster_trainer_makes_the_other_choose_again(store: Store) -> None:
    """Both saw an empty store, and chose the same version."""
    asked: list[set[Version]] = []

    def choose(taken: set[Version]) -> Version:
        if not asked:  # overtaken by one that reserves, trains and registers meanwhile
            store.write("staging/xgboost_v1.0.0.json", b"model")
        if len(asked) == 1:  # and by one that has reserved
            store.write("staging/xgboost_v1.1.0.lock", b"theirs")
        asked.append(taken)
        return Version(1, len(asked) - 1, 0)

    with artefact.reserve(store, set, choose) as (version, _, _):
        assert str(version) == "1.2.0"
    assert asked[1:] == [{Version(1, 0, 0)}, {Version(1, 0, 0), Version(1, 1, 0)}]
    assert store.read("staging/xgboost_v1.0.0.json")[0] == b"model"
    assert store.read("staging/xgboost_v1.1.0.lock")[0] == b"theirs"
    assert "staging/xgboost_v1.0.0.lock" not in store.names()


@BOTH
def test_a_trainer_that_lost_its_reservation_leaves_the_winners_files(
    store: Store, trained: tuple[Home, training.Trained]
) -> None:
    place = resolve(trained[0], "staging/xgboost_v1.0.0.json")
    model = artefact.load(*place, FEATURES)

    def choose(_: set[Version]) -> Version:
        return Version(1, 0, 0)

    with pytest.raises(Taken), artefact.reserve(store, set, choose) as (_, name, mine):
        for left in ("json", "lock"):
            store.delete(f"staging/xgboost_v1.0.0.{left}")
        with artefact.reserve(store, set, choose) as (_, _, theirs):
            artefact.save(store, name, theirs, model.booster, model.manifest, b"frame")
        artefact.save(store, name, mine, model.booster[:1], model.manifest, b"mine")
    assert artefact.load(store, name, FEATURES).manifest == model.manifest
    assert store.read("staging/xgboost_v1.0.0.frame.parquet")[0] == b"frame"


def test_two_trainers_at_once_get_two_versions_in_the_bucket(cloud_home: Home) -> None:
    running = [trainer(cloud_home, "meet"), trainer(cloud_home, "meet")]
    try:
        printed = [process.communicate(timeout=120) for process in running]
    finally:
        for process in running:
            process.kill()
    ids = {out.split()[-1] for out, _ in printed if out}
    assert ids == {"xgboost_v1.0.0", "xgboost_v1.1.0"}, printed
    assert registry.status(cloud_home)["orphans"] == []


@pytest.mark.parametrize(
    ("moment", "survives"), [("fit", False), ("saved", False), ("registered", True)]
)
def test_a_killed_trainers_reservation_is_swept_after_a_day(
    cloud_home: Home, gcs: Emulator, moment: str, survives: bool
) -> None:
    process = trainer(cloud_home, moment)
    assert process.wait() == -signal.SIGKILL, process.communicate()
    store, lock = open_store(cloud_home), "staging/xgboost_v1.0.0.lock"
    kept = set(store.names()) - {lock}
    assert len(kept) == (1 if moment == "fit" else 3)
    shown = CliRunner().invoke(cli, ["status", "--json"])
    [orphan] = json.loads(shown.output)["orphans"]
    assert orphan.startswith("xgboost_v1.0.0: reserved")

    def registered() -> set[str]:
        return {model.model_id for model in registry.registered(cloud_home)}

    age(gcs, lock, hours=23.9)
    artefact.sweep(store, registered)
    assert set(store.names()) == kept | {lock}, "perhaps it lives"
    age(gcs, lock, hours=24.1)
    artefact.sweep(store, registered)
    assert set(store.names()) == (kept if survives else set())
    done = training.train(cloud_home, small_warehouse.config(), force=True)
    assert done.model_id == ("xgboost_v1.0.1" if survives else "xgboost_v1.0.0")


def test_of_two_sweepers_the_slower_leaves_a_new_reservation(
    bucket: Bucket, gcs: Emulator
) -> None:
    lock = "staging/xgboost_v1.0.0.lock"
    bucket.lock(lock)
    age(gcs, lock, hours=25)
    dead = bucket.abandoned(lock)
    assert dead
    artefact.sweep(bucket, set)
    bucket.lock(lock)
    bucket.write("staging/xgboost_v1.0.0.json", b"new")
    stores_seen = bucket.names()
    artefact._end(bucket, lock, dead, set())
    assert bucket.names() == stores_seen


def test_a_default_is_patient_and_a_hold_lasts_a_day() -> None:
    assert Bucket(ROOT).patience == 60 and stores.ABANDONED.days == 1 and NEW == 0
