"""What an operator can decide about accounts; every default is the safe one."""

from dataclasses import dataclass, field, fields, replace

from trainshed.domain.identity import Role

DEFAULT_LIFETIME = 30 * 24 * 3600  # seconds a token lives when the caller does not say
MAX_LIFETIME = 365 * 24 * 3600
SHORTEST_SECRET = 12  # characters: how often an access key is tried is not counted


@dataclass(frozen=True, kw_only=True)
class FixedUser:
    """A user of the configuration file. password: plain, or the base64 form of a bcrypt hash (pass_hashed)."""

    username: str
    password: str = field(repr=False)
    name: str = ""
    role: Role = Role.USER


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A user whose name and password the login page tells everybody. password: plain."""

    enabled: bool = False
    username: str = "guest"
    password: str = "guest"  # noqa: S105 - everybody is told
    name: str = "Guest"


@dataclass(frozen=True, kw_only=True)
class FixedUsers:
    """Users of the configuration file. While enabled, no other user can log in. pass_hashed: those of `users` alone."""

    enabled: bool = False
    pass_hashed: bool = False
    users: tuple[FixedUser, ...] = ()
    guest: Guest = Guest()

    def everyone(self) -> tuple[FixedUser, ...]:
        """Who can log in, the guest included."""
        if not self.enabled:
            return ()
        guest = self.guest
        if not guest.enabled:
            return self.users
        as_user = FixedUser(username=guest.username, password=guest.password, name=guest.name, role=Role.GUEST)
        return (*self.users, as_user)


@dataclass(frozen=True, kw_only=True)
class Passwords:
    """min_length: of new ones. rounds: of bcrypt, as a power of two; 12 are 0.2 s of one processor."""

    min_length: int = 8
    rounds: int = 12


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """How often passwords may be tried; see accounts.attempts for the rule. seconds: after so many, one counts no more."""

    per_address: int = 10
    per_account: int = 30
    seconds: int = 300


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Seconds. remember: for so long a process relies on what it knew of a token, so a revocation elsewhere takes that long."""

    default: int = DEFAULT_LIFETIME
    longest: int = MAX_LIFETIME
    remember: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Tickets:
    """Seconds that one-time tokens are good for: to claim a new server, to accept an invitation, to set a new password."""

    claim: int = 24 * 3600
    invitation: int = 7 * 24 * 3600
    reset: int = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Cookies:
    """The session's cookie, as the browser is told. domain: with several, the one that the request's host belongs to."""

    name: str = "clearml_token_basic"
    httponly: bool = True
    secure: bool = False
    domain: tuple[str, ...] = ()
    samesite: str | None = "Lax"
    max_age: int = 99_999_999_999


@dataclass(frozen=True, kw_only=True)
class Cors:
    """Which pages of other origins may call. "*": any, but none of them with the visitor's cookie; that takes a named one."""

    origins: tuple[str, ...] = ("*",)


@dataclass(frozen=True, kw_only=True)
class TrustedHeader:
    """A proxy that has already logged the caller in says who it is.

    name: of the header; empty: none is believed. proxies: the networks it is believed from. drops_underscores: whether they
    remove headers with an underscore in the name. create: whether a user who is new here gets an account, with this role.
    """

    name: str = ""
    drops_underscores: bool = False
    proxies: tuple[str, ...] = ()
    create: bool = True
    role: Role = Role.USER

    def check(self) -> None:
        """Raises ValueError for a header that a caller could send past the proxy under another name.

        A server of this kind reads X_User as X-User. A proxy that overwrites the one and passes the other on lets everybody
        be anybody; a name of one word has no such twin.
        """
        if not self.name.isalnum() and self.name and not self.drops_underscores:
            raise ValueError(
                f"trainshed.accounts.trusted_header.name: {self.name!r} could be sent past the proxy with _ for -: take one word,"
                " as RemoteUser, or set drops_underscores when the proxy removes such headers (nginx does, unless told otherwise)"
            )


@dataclass(frozen=True, kw_only=True)
class Oidc:
    """A login elsewhere by OpenID Connect.

    issuer: its address; empty: there is none. username, name, roles: the claims that say so. admins, viewers: values of the
    roles claim that make one; everybody else has the role `role`. domains: of email addresses that may log in; none: any.
    """

    issuer: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    label: str = "Single sign-on"
    username: str = "email"
    name: str = "name"
    roles: str = "groups"
    admins: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    create: bool = True
    role: Role = Role.USER


@dataclass(frozen=True, kw_only=True)
class SystemKey:
    """An access key of the configuration; without a secret there is none. access_key: empty: the name of the part."""

    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    role: Role = Role.SYSTEM


@dataclass(frozen=True, kw_only=True)
class SystemKeys:
    """Access keys that the configuration gives to parts of the deployment (secure.credentials.*)."""

    apiserver: SystemKey = SystemKey()
    fileserver: SystemKey = SystemKey()
    webserver: SystemKey = SystemKey()
    tests: SystemKey = SystemKey(role=Role.USER)
    services_agent: SystemKey = SystemKey(role=Role.ADMIN)

    def given(self) -> dict[str, SystemKey]:
        """Part -> its key, with its name. Raises ValueError for a secret that could be guessed."""
        made = {}
        for part in (one.name for one in fields(self)):
            key: SystemKey = getattr(self, part)
            if key.secret_key and len(key.secret_key) < SHORTEST_SECRET:
                raise ValueError(f"secure.credentials.{part}.user_secret has to have {SHORTEST_SECRET} characters")
            if key.secret_key:
                made[part] = replace(key, access_key=key.access_key or part)
        return made


@dataclass(frozen=True, kw_only=True)
class Policy:
    """All of it.

    name_login: whether a name alone logs in, while nobody has a password; None: on a server that only this machine reaches.
    """

    fixed_users: FixedUsers = FixedUsers()
    passwords: Passwords = Passwords()
    attempts: Attempts = Attempts()
    tokens: Tokens = Tokens()
    tickets: Tickets = Tickets()
    cookies: Cookies = Cookies()
    cors: Cors = Cors()
    trusted_header: TrustedHeader = TrustedHeader()
    oidc: Oidc = Oidc()
    system_keys: SystemKeys = SystemKeys()
    name_login: bool | None = None


OUT_OF_THE_BOX = Policy()
