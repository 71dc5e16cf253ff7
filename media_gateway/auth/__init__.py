"""Who is asking: users, API keys, access tokens, single-use socket tickets, the demo login, Host and Origin."""

from media_gateway.auth.gate import Bootstrap, Gate
from media_gateway.auth.model import AuthError, Principal, Role
from media_gateway.auth.tokens import Tokens

__all__ = ["AuthError", "Bootstrap", "Gate", "Principal", "Role", "Tokens"]
