"""`wire`: the vendors are pointed at a system, each read back; ElevenLabs' secret goes straight to Secret Manager."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from infra.gcloud import values
from infra.gcloud.gcloud import Gcloud
from infra.gcloud.place import Place
from infra.gcloud.release import Running
from infra.gcloud.vendors import ELEVENLABS, TWILIO, ElevenLabs, Twilio, VendorFailed

WEBHOOK_SECRET = "elevenlabs-webhook-secret"  # noqa: S105 - a name
Told = Callable[[str], None]


def twilio_of(gcloud: Gcloud, place: Place, environ: Mapping[str, str], there: Mapping[str, Running]) -> Twilio:
    """From the environment, else from what the running gateway is told. Raises VendorFailed, GcloudFailed."""
    phone = there.get(place.named(place.phone_service))
    env = dict(phone.env if phone else {}) | {name: value for name, value in environ.items() if value.strip()}
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_PHONE_NUMBER"):
        if not env.get(name):
            raise VendorFailed(f"{name} is not known; set it in the environment.")
    token = environ.get("TWILIO_AUTH_TOKEN", "").strip() or values.value(gcloud, place, "twilio-auth-token")
    base = environ.get("TWILIO_API_BASE_URL", "").rstrip("/") or TWILIO
    return Twilio(account_sid=env["TWILIO_ACCOUNT_SID"], auth_token=token, number=env["TWILIO_PHONE_NUMBER"], base=base)


def wire_twilio(twilio: Twilio, place: Place, told: Told, *, dry_run: bool) -> list[str]:
    """What was changed, or would be."""
    differs = twilio.differences(place)[1] if dry_run else twilio.wire(place)
    for one in differs:
        told(f"Twilio {twilio.number}: {one}")
    if not differs:
        told(f"Twilio {twilio.number}: points here already")
    return [str(one) for one in differs]


def elevenlabs_of(
    gcloud: Gcloud, place: Place, environ: Mapping[str, str], versions: Mapping[str, str]
) -> ElevenLabs | None:
    """None when there is no key: hosted calls are not used."""
    key = environ.get("ELEVENLABS_API_KEY", "").strip()
    if not key and versions.get("elevenlabs-api-key"):
        key = values.value(gcloud, place, "elevenlabs-api-key")
    base = environ.get("ELEVENLABS_BASE_URL", "").rstrip("/") or ELEVENLABS
    return ElevenLabs(api_key=key, base=base) if key else None


def wire_elevenlabs(
    vendor: ElevenLabs, gcloud: Gcloud, place: Place, versions: Mapping[str, str], told: Told, *, dry_run: bool
) -> bool:
    """True if the secret is a new one: the function has to be told. The secret is shown once, so a webhook whose secret
    we do not have is made anew."""
    url = place.webhook_url
    there, have = vendor.find(url), bool(versions.get(WEBHOOK_SECRET))
    made = False
    off = there is not None and (there.get("is_disabled") or there.get("is_auto_disabled"))
    if there and have and not off:
        told("ElevenLabs: the webhook is there, and so is its secret")
        webhook_id = str(there["webhook_id"])
    elif dry_run:
        told(f"ElevenLabs: a webhook to {url} would be made, and its secret stored")
        return False
    else:
        webhook_id, secret = vendor.create(place.prefix, url)
        number = values.add_version(gcloud, place, WEBHOOK_SECRET, secret)
        told(f"ElevenLabs: webhook made; its secret is version {number} of {place.named(WEBHOOK_SECRET)}")
        made = True
    if vendor.in_use() != webhook_id and not dry_run:
        vendor.use(webhook_id)
        told("ElevenLabs: conversations end at this webhook")
    if made and there:
        vendor.delete(str(there["webhook_id"]))
        told("ElevenLabs: the former webhook, whose secret nobody has, is gone")
    return made
