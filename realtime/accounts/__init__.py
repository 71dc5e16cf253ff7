"""Who may come in: users and API keys, each of one organisation and with one role."""

from realtime.accounts.book import Accounts, NoAccount, Taken
from realtime.accounts.model import ROLES, ApiKey, Invalid, Role, User

__all__ = ["ROLES", "Accounts", "ApiKey", "Invalid", "NoAccount", "Role", "Taken", "User"]
