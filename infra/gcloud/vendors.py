"""Twilio and ElevenLabs, pointed at a system and read back."""


class VendorFailed(Exception):
    """A vendor did not take it, or shows something else than it took. The text says what to do."""
