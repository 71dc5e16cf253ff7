"""The environment of the gateway, read once at the start and checked whole.

Every name is an environment variable (upper case). Outside `dev` nothing that matters is guessed: the five engines,
store and bus are named, and secrets are required. `load` raises `SettingsError`, whose text names each wrong variable
and its remedy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import phonenumbers
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from media_gateway import settings_rules
from media_gateway.capacity import CALLS
from media_gateway.dev_secrets import dev_secrets
from realtime.records.customers import NotANumber, e164


class SettingsError(Exception):
    """The environment is not fit to start with. The text is for people, one line a variable."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        lines = [f"  {name}: {remedy}" for name, remedy in problems.items()]
        super().__init__("Callboard cannot start; set these right and start again:\n" + "\n".join(lines))
        self.problems = dict(problems)


class Settings(BaseSettings):
    """Frozen. A field is the environment variable of its name in lower case, except `dev` and `generated`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    dev: bool = False
    """One machine, for a look or for work on the code: engines by which key is set, secrets generated once."""
    generated: frozenset[str] = frozenset()
    """The variables that `dev` made up because nobody had set them."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    functions_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Where `dev` runs the functions on this machine; 0: nowhere."""
    public_base_url: str = ""
    k_service: str | None = None
    google_cloud_project: str | None = None
    firestore_emulator_host: str | None = None
    pubsub_emulator_host: str | None = None

    callboard_store: Literal["embedded", "firestore"] = "embedded"
    callboard_bus: Literal["embedded", "pubsub"] = "embedded"
    callboard_database: str = "(default)"
    """The Firestore database, for a second system in the same project."""
    callboard_topic: str = "callboard-events"
    callboard_data_dir: Path = Path(".callboard")
    callboard_role: Literal["all", "media", "dashboard"] = "all"
    callboard_max_calls: Annotated[int, Field(ge=1)] = CALLS
    callboard_max_lag_ms: Annotated[float, Field(ge=0)] = 100.0
    """No call more while the event loop wakes later than this (the ninth of ten times, over ten seconds); 0: whatever
    it does."""
    callboard_max_call_minutes: Annotated[int, Field(ge=2, le=58)] = 55
    """A media stream of Twilio's lives for 60 minutes."""
    callboard_stt: Literal["deepgram", "embedded"] = "embedded"
    callboard_llm: Literal["openai", "scripted"] = "scripted"
    callboard_tts: Literal["deepgram", "elevenlabs", "embedded"] = "embedded"
    callboard_timezone: str = "America/New_York"
    callboard_flows_dir: Path | None = None
    callboard_call_countries: str = "US,CA"
    """Where we may call, against toll fraud: ISO 3166, two letters each."""
    callboard_max_outbound_per_day: Annotated[int, Field(ge=0)] = 200
    callboard_retention_days: Annotated[int, Field(ge=1)] = 30
    callboard_audio_bucket: str = ""
    """The bucket of Cloud Storage for the sound of calls and for news that no bus takes."""
    callboard_record: bool = False
    """Keep the sound of our own calls, unless their flow says otherwise; `dev` does unless told not to."""

    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr = SecretStr("")
    twilio_phone_number: str | None = None
    twilio_api_base_url: str = "https://api.twilio.com"
    deepgram_api_key: SecretStr | None = None
    deepgram_base_url: str = "wss://api.deepgram.com"
    deepgram_listen: Literal["v1", "v2"] = "v1"
    deepgram_listen_model: str | None = None
    """None: nova-3 on v1; on v2 flux-general-en, or flux-general-multi where the language is not English."""
    deepgram_language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{2,8})*$")] = "en"
    """BCP-47, or `multi`."""
    deepgram_voice: str = "aura-2-thalia-en"
    """Which voice speaks (a model of `speak` v1)."""
    otel_exporter_otlp_endpoint: str | None = None
    """Where OpenTelemetry metrics and traces go; unset: nowhere."""
    openai_api_key: SecretStr | None = None
    openai_base_url: str = "https://api.openai.com/v1"
    openai_model: str = "gpt-6-luna"
    openai_model_standin: str | None = None
    """Answers when the first model does not."""
    openai_reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "model"] = "none"
    """How long it thinks before it speaks; `model`: nothing is said about that (some models know no such option)."""
    elevenlabs_api_key: SecretStr | None = None
    elevenlabs_base_url: str = "https://api.elevenlabs.io"
    elevenlabs_voice_id: str = "EXAVITQu4vr4xnSDxMaL"
    elevenlabs_model: str = "eleven_flash_v2_5"
    elevenlabs_agent_id: str | None = None
    elevenlabs_phone_number_id: str | None = None
    elevenlabs_webhook_secret: SecretStr | None = None
    elevenlabs_personalize_secret: SecretStr | None = None
    elevenlabs_webhook_url: str = ""
    """Where the function `elevenlabs_webhook` is, for the dashboard to show and to test."""
    elevenlabs_personalize_url: str = ""
    nhtsa_base_url: str = "https://vpic.nhtsa.dot.gov/api"
    """What car a VIN stands for; no key."""
    enable_webrtc_broadcast: bool = True

    jwt_secret: SecretStr = SecretStr("")
    admin_username: str = ""
    admin_password: SecretStr = SecretStr("")
    handoff_number: str | None = None
    callboard_supervisors: str = ""
    """The telephones of supervisors who take callers over or have them put through: ann=+15551230000,bob=+1..."""
    callboard_alert_phone: str | None = None
    """Gets a text message when a caller left a message: E.164."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` hands in: it has read the environment, and tests give their own."""
        return (init_settings,)

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("callboard_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("no such time zone; use a name such as America/New_York") from error
        return value

    @field_validator("callboard_call_countries")
    @classmethod
    def _known_countries(cls, value: str) -> str:
        unknown = [code for code in _codes(value) if code not in phonenumbers.SUPPORTED_REGIONS]
        if unknown or not _codes(value):
            raise ValueError("must be two-letter countries separated by commas, such as US,CA")
        return value

    @field_validator("callboard_alert_phone")
    @classmethod
    def _callable(cls, value: str | None) -> str | None:
        try:
            return None if value is None else e164(value)
        except NotANumber as error:
            raise ValueError(str(error)) from error

    @field_validator("callboard_supervisors")
    @classmethod
    def _known_telephones(cls, value: str) -> str:
        settings_rules.parse_supervisors(value)
        return value

    @property
    def supervisors(self) -> dict[str, str]:
        """CALLBOARD_SUPERVISORS: E.164 by user name in lower case."""
        return settings_rules.parse_supervisors(self.callboard_supervisors)

    @property
    def call_countries(self) -> frozenset[str]:
        """CALLBOARD_CALL_COUNTRIES as a set."""
        return frozenset(_codes(self.callboard_call_countries))

    @property
    def base_url(self) -> str:
        """Where the outside reaches this service, without a trailing slash."""
        return (self.public_base_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def socket_base_url(self) -> str:
        """The same for WebSockets: `ws://` or `wss://`."""
        return self.base_url.replace("http", "ws", 1)

    @property
    def public_host(self) -> str:
        """The host of `base_url`, lower case, without the port."""
        return (urlsplit(self.base_url).hostname or "").lower()

    def function_url(self, name: str) -> str:
        """Where the function of this name is, if `dev` runs it on this machine, else ""."""
        return f"http://127.0.0.1:{self.functions_port}/{name}" if self.dev and self.functions_port else ""

    @property
    def on_cloud_run(self) -> bool:
        """Cloud Run sets K_SERVICE, and nothing else does."""
        return bool(self.k_service)

    @property
    def jwt_keys(self) -> tuple[tuple[str, str], ...]:
        """(kid, secret) pairs, the signing one first."""
        return settings_rules.parse_jwt_keys(self.jwt_secret.get_secret_value())


def _codes(text: str) -> list[str]:
    return [code.strip().upper() for code in text.split(",") if code.strip()]


_NAMES = frozenset(Settings.model_fields) - {"dev", "generated"}


def load(environ: Mapping[str, str] | None = None, *, dev: bool = False) -> Settings:
    """The settings of this process, or SettingsError with everything that is wrong. An empty variable counts as unset.

    In `dev`, what is missing is chosen by which key is set, and missing secrets are made up once and kept in
    `$CALLBOARD_DATA_DIR/dev-secrets.json` (readable by the owner only).
    """
    source = os.environ if environ is None else environ
    given: dict[str, str] = {
        name: source[name.upper()].strip() for name in _NAMES if source.get(name.upper(), "").strip()
    }
    generated: frozenset[str] = frozenset()
    if dev and "k_service" not in given:
        given = settings_rules.with_dev_choices(given)
        data_dir = Path(given.get("callboard_data_dir", ".callboard"))
        try:
            made_up = dev_secrets(data_dir, given)
        except OSError as error:
            raise SettingsError({"CALLBOARD_DATA_DIR": f"{data_dir} cannot be written ({error.strerror})"}) from error
        generated = frozenset(name.upper() for name in made_up)
        given |= made_up
    problems = settings_rules.problems(given, dev=dev)
    try:
        settings = Settings.model_validate({**given, "dev": dev, "generated": generated})
    except ValidationError as error:
        for wrong in error.errors(include_url=False, include_input=False):
            name = str(wrong["loc"][0]).upper()
            problems.setdefault(name, wrong["msg"].removeprefix("Value error, "))
        raise SettingsError(problems) from None
    if problems:
        raise SettingsError(problems)
    return settings
