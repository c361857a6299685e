"""The same library, whether photos are read and seen here or on a Ray cluster."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from isthmus.cli.main import main
from isthmus.errors import InputError, MissingPart
from isthmus.photos import cluster as clusters
from isthmus.photos import swap
from isthmus.photos.cluster import Cluster
from isthmus.photos.index import index
from isthmus.photos.regions import look_closer
from isthmus.photos.store import Library

from .fakes import ColourEmbedder, paint, rows

pytestmark = pytest.mark.xdist_group("ray")
MODEL = ColourEmbedder()
OTHER = partial(ColourEmbedder, name="test/other", fingerprint="ff" * 32)


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """A cluster of two processors of this machine, whose workers find what tests define."""
    ray = pytest.importorskip("ray")
    root = str(Path(__file__).parents[2])
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": root}},
    )
    yield
    ray.shutdown()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """40 files: some hold the same, one is none, one is a video."""
    folder = tmp_path / "photos"
    for seed in range(36):
        paint(folder / f"{seed:02}.png", size=(40, 24), seed=seed % 33)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    (folder / "words.jpg").write_text("not a picture")
    (folder / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
    paint(folder / "deep/er/last.jpg", "red", seed=99)
    return folder


@pytest.mark.usefixtures("ray")
def test_a_cluster_makes_the_same_library(tmp_path: Path, photos: Path) -> None:
    reports = {}
    for name, cluster in (("here", None), ("there", Cluster(ColourEmbedder, MODEL.fingerprint, 8))):
        with Library.write(tmp_path / name) as store:
            reports[name] = index(store, [photos], MODEL, batch=8, quiet=True, cluster=cluster)
            look_closer(store, MODEL, batch=4, quiet=True, cluster=cluster)
            again = index(store, [photos], MODEL, quiet=True, cluster=cluster)
            assert (again.embedded, again.known, again.left) == (0, 0, 0)
            store.check()
            regions = list(store.query("SELECT p.hash, vectors FROM regions JOIN photos p ON p.id = photo ORDER BY 1"))
            assert len(regions) == 34
            reports[name + " regions"] = regions
    assert rows(tmp_path / "here") == rows(tmp_path / "there")
    assert reports["here regions"] == reports["there regions"]
    here, there = reports["here"], reports["there"]
    assert (there.embedded + there.known, there.unread) == (37, here.unread)
    assert there.unread.total() >= 2


@pytest.mark.usefixtures("ray")
def test_another_model_sees_all_on_a_cluster(tmp_path: Path, photos: Path) -> None:
    with Library.write(tmp_path / "lib") as store:
        index(store, [photos], MODEL, quiet=True)
        (photos / "deep/er/last.jpg").unlink()
        done = swap.embed_all(store, OTHER(), quiet=True, cluster=Cluster(OTHER, OTHER().fingerprint))
        assert (done.done, done.left, dict(done.postponed)) == (33, 1, {"missing": 1})
        (there,) = (model for model in store.models() if model.fingerprint == OTHER().fingerprint)
        assert store.query("SELECT count(*) FROM vectors WHERE model = ?", (there.id,)) == [(33,)]


@pytest.mark.usefixtures("ray")
def test_asked_to_stop_it_keeps_what_was_done(tmp_path: Path, photos: Path) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 12

    cluster = Cluster(ColourEmbedder, MODEL.fingerprint, 4)
    with Library.write(tmp_path / "lib") as store:
        first = index(store, [photos], MODEL, batch=4, quiet=True, stop=stop, cluster=cluster)
        assert first.stopped
        assert 0 < first.embedded < 34
        index(store, [photos], MODEL, batch=4, quiet=True, cluster=cluster)
    with Library.write(tmp_path / "whole") as store:
        index(store, [photos], MODEL, batch=4, quiet=True)
    assert rows(tmp_path / "lib") == rows(tmp_path / "whole")


@pytest.mark.usefixtures("ray")
def test_a_worker_with_another_model_is_refused(tmp_path: Path, photos: Path) -> None:
    with (
        Library.write(tmp_path / "lib") as store,
        pytest.raises(InputError, match="not the same model: ffff"),
    ):
        index(store, [photos], MODEL, quiet=True, cluster=Cluster(OTHER, MODEL.fingerprint))


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(clusters.__dict__["__builtins__"], "__import__", _without("ray"))
    with pytest.raises(MissingPart, match=r"isthmus\[ray\]"):
        Cluster(ColourEmbedder, MODEL.fingerprint)


def _without(package: str):
    real = __import__

    def importing(name: str, *more: object, **named: object) -> object:
        if name.split(".")[0] == package:
            raise ImportError(f"No module named {package!r}")
        return real(name, *more, **named)

    return importing


@pytest.mark.parametrize("said", ["0", "-1", "two", "rays"])
def test_workers_are_a_number_or_ray(
    said: str, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("isthmus.contrastive.load_embedder", lambda *_, **__: MODEL)
    command = ["isthmus", "photos", "index", str(photos), "--library", str(tmp_path / "lib"), f"--workers={said}"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert f"--workers {said} is no number of threads" in " ".join(capfd.readouterr().err.split())
