"""The two images: what is in them, whether the registry has them already, and their build by Cloud Build.

An image is tagged with a digest of the files that go into it: the same files are never built twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.gcloud.gcloud import BUILD_TIMEOUT_S, Gcloud, GcloudFailed
from infra.gcloud.kind import JSON
from infra.gcloud.model import Command
from infra.gcloud.place import Place

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "gateway": ("media_gateway", "realtime", ".dockerignore", "LICENSE", "NOTICE"),
    "functions": ("functions", "realtime", ".dockerignore", "LICENSE", "NOTICE"),
}
_NOT = ("__pycache__", "node_modules", "lib")
CONFIG = "infra/gcloud/images.yaml"


def fingerprint(image: str, root: Path = ROOT) -> str:
    """Changes when a file of the image does."""
    total = hashlib.sha256()
    for part in PARTS[image]:
        path = root / part
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        for file in files:
            inside = file.relative_to(root)
            if not set(inside.parts).intersection(_NOT):
                total.update(inside.as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def tags(root: Path = ROOT) -> dict[str, str]:
    """The tag of each image."""
    return {image: fingerprint(image, root) for image in PARTS}


def digest(gcloud: Gcloud, place: Place, image: str, tag: str) -> str:
    """`REPOSITORY/IMAGE@sha256:...` of a tag, "" when the registry does not have it."""
    name = f"{place.repository}/{image}"
    try:
        described = gcloud.read(("artifacts", "docker", "images", "describe", f"{name}:{tag}", JSON))
    except GcloudFailed as problem:
        if problem.why == "missing":
            return ""
        raise
    return f"{name}@{described['image_summary']['digest']}"


def built(gcloud: Gcloud, place: Place, wanted: Mapping[str, str], told: Callable[[str], None]) -> dict[str, str]:
    """Each image with its digest, built if the registry does not have it. Raises GcloudFailed."""
    found = {image: digest(gcloud, place, image, tag) for image, tag in wanted.items()}
    if all(found.values()):
        return found
    told(f"Cloud Build makes {', '.join(image for image, there in found.items() if not there)} (some minutes)")
    gcloud.run(submit(place, wanted), seconds=BUILD_TIMEOUT_S)
    found = {image: digest(gcloud, place, image, tag) for image, tag in wanted.items()}
    lost = [image for image, there in found.items() if not there]
    if lost:
        raise GcloudFailed("refused", ("builds", "submit"), f"the build is done, but there is no image {lost}")
    return found


def submit(place: Place, wanted: Mapping[str, str]) -> Command:
    """The build of both images."""
    said = {
        "_REPOSITORY": place.repository,
        "_ACCOUNT": place.account("build"),
        **{f"_{image.upper()}": tag for image, tag in wanted.items()},
    }
    where = (str(ROOT), f"--config={ROOT / CONFIG}", f"--region={place.region}")
    bucket = f"--gcs-source-staging-dir=gs://{place.bucket('source')}/source"
    given = ",".join(f"{name}={text}" for name, text in said.items())
    return Command(("builds", "submit", *where, bucket, f"--substitutions={given}", "--suppress-logs"))
