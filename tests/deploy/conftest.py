"""The deployed system that the tests of this folder share."""

from tests.deploy.story import story

__all__ = ["story"]
