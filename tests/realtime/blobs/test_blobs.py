"""Files by name: in a folder, and in a bucket through Google's own library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from realtime.blobs import Blobs, BlobsUnavailable, blob_name, cloud_storage, open_blobs
from tests.realtime.blobs.cloud_storage import bucket


@pytest.fixture(params=["folder", "bucket"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Blobs]:
    monkeypatch.setattr(cloud_storage, "SECONDS", 0.2)
    if request.param == "folder":
        found = open_blobs("", tmp_path / "files")
        assert found is not None
        yield found
        return
    with bucket() as there:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", there.url)
        found = open_blobs("callboard-audio", None)
        assert found is not None
        yield found
        there.broken = True
        with pytest.raises(BlobsUnavailable):
            found.put("audio/x.mp3", b"x", content_type="audio/mpeg")
        found.close()
        found.close()


@pytest.mark.parametrize("size", [0, 1000, 9_000_000], ids=["empty", "small", "large"])
def test_what_is_written_is_read_until_it_is_deleted(blobs: Blobs, size: int) -> None:
    data = os.urandom(size)
    blobs.put("audio/conv_1-a.mp3", b"an older one", content_type="audio/mpeg")
    blobs.put("audio/conv_1-a.mp3", data, content_type="audio/mpeg")
    assert blobs.get("audio/conv_1-a.mp3") == data
    blobs.delete("audio/conv_1-a.mp3")
    blobs.delete("audio/conv_1-a.mp3")
    with pytest.raises(LookupError):
        blobs.get("audio/conv_1-a.mp3")


def test_names_by_how_they_begin(blobs: Blobs) -> None:
    assert blobs.names("recording/CA1-") == []
    for name in ("recording/CA1-b.ulaw", "recording/CA1-a.ulaw", "recording/CA12-a.ulaw", "audio/CA1-a.mp3"):
        blobs.put(name, b"x", content_type="audio/basic")
    assert blobs.names("recording/CA1-") == ["recording/CA1-a.ulaw", "recording/CA1-b.ulaw"]
    for strange in ("", "recording", "recording/", "../x", "recording/*"):
        with pytest.raises(ValueError, match="beginning"):
            blobs.names(strange)


@pytest.mark.parametrize(
    "name", ["", "audio", "/etc/passwd", "audio/../x.mp3", "audio/a/b.mp3", "../a.mp3", "audio/.mp3", "audio/a.mp3\n"]
)
def test_names_that_lead_elsewhere(blobs: Blobs, name: str) -> None:
    for work in (lambda: blobs.put(name, b"", content_type="x/y"), lambda: blobs.get(name), lambda: blobs.delete(name)):
        with pytest.raises(ValueError, match="not the name of a file"):
            work()


def test_a_name_is_made_of_any_key() -> None:
    assert blob_name("audio", "conv_1-a", "mp3") == "audio/conv_1-a.mp3"
    for strange in ("../x", "a b", "ä", "x" * 500, ""):
        made = blob_name("audio", strange, "mp3")
        assert made.startswith("audio/")
        assert len(made) == len("audio/.mp3") + 64


def test_the_folder_is_this_user_s_alone_and_is_swept(tmp_path: Path) -> None:
    blobs = open_blobs("", tmp_path / "files")
    assert blobs is not None
    for name in ("audio/old.mp3", "audio/new.mp3"):
        blobs.put(name, b"x", content_type="audio/mpeg")
    path = tmp_path / "files" / "audio" / "old.mp3"
    assert path.stat().st_mode & 0o777 == 0o600
    os.utime(path, (1_000, 1_000))
    assert blobs.purge(datetime.fromtimestamp(2_000, UTC)) == 1
    assert sorted(file.name for file in path.parent.iterdir()) == ["new.mp3"]
    (tmp_path / "blocked").write_text("a file where the folder should be")
    blocked = open_blobs("", tmp_path / "blocked")
    assert blocked is not None
    with pytest.raises(BlobsUnavailable):
        blocked.put("audio/x.mp3", b"", content_type="audio/mpeg")


def test_without_a_bucket_or_a_folder_there_is_no_place() -> None:
    assert open_blobs("", None) is None
