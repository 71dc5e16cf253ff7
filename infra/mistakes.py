"""What a user can have wrong: exceptions that cost nothing to import, whose text is for people and says what to do."""

from __future__ import annotations


class Usage(Exception):
    """What was asked for does not exist; the text says what does. Exit code 2."""


class NotThere(Exception):
    """What was asked for cannot be read; the text says why and what to do. Exit code 1."""


class Unreachable(Exception):
    """What was named cannot be used; the text says what to do. Exit code 1."""


class DidNotStart(Exception):
    """A part of the local system ended or was not ready in time. The text says which. Exit code 1."""
