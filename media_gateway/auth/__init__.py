"""Who is asking: access tokens, the login, single-use socket tickets, the demo login, Host and Origin checks."""

from media_gateway.auth.model import AuthError, Principal, Role
from media_gateway.auth.tokens import Tokens

__all__ = ["AuthError", "Principal", "Role", "Tokens"]
