"""Every rule we ask, by id, in the order they are reported. The ids are those of docs/images.md."""

from trainshed_provision.assertions import credentials
from trainshed_provision.assertions.result import Rule

RULES: dict[str, Rule] = {
    "A02": Rule(title="no account has a password hash", where="FQ", check=credentials.no_password_hash),
}
