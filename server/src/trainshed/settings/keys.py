"""Every key of the configuration, a line each: the table that all else about the configuration is made of.

To add one: give it a field in Settings (or in a dataclass that Settings has), whose default is the default, and a line here.
The reference page, `trainshed config`, the hints at unknown keys and the errors about types follow.
"""

from dataclasses import dataclass

from trainshed.domain.identity import Role
from trainshed.services.accounts.policy import FixedUser
from trainshed.services.addresses import check_network, check_prefix, check_url
from trainshed.services.logs import FORMS, LEVELS
from trainshed.services.raw_points import MOST
from trainshed.settings import LISTENERS
from trainshed.settings.forms import (
    FLAG,
    PATH,
    PORT,
    SIZE,
    TEXT,
    TEXTS,
    Form,
    checked,
    choice,
    many,
    maybe,
    records,
    seconds,
    signing,
    whole,
)


@dataclass(frozen=True)
class Key:
    """A key that has an effect.

    path: the file without ".conf", then the keys in it. field: where the value stands in Settings. doc: a sentence.
    secret: it is shown nowhere, and `<path>.file` may name a file with it. Secrets within records are masked by their form.
    """

    path: str
    form: Form
    field: str
    doc: str
    secret: bool = False


@dataclass(frozen=True)
class Ignored:
    """A key of other servers, or a whole branch of keys, that has no effect here; reason: why not, a sentence."""

    path: str
    reason: str


FILES = ("apiserver", "hosts", "logging", "secure", "services", "fileserver", "trainshed")
_URL = Form('an address, as "https://files.example.com" or "http://example.com:8081"', checked(check_url), text=True)
_PATH_OF_URL = Form('the path of a url, as "/tracking"', checked(check_prefix), text=True)
_NETWORK = Form('an address or a network, as "10.0.0.7" or "10.0.0.0/8"', checked(check_network), text=True)
_ROLE = Form("one of admin, user, viewer", lambda value: Role(choice("admin", "user", "viewer").read(value)), text=True)
_ANY_ROLE = Form("a role", lambda value: Role(choice(*Role).read(value)), text=True)
_USERS = records(
    FixedUser,
    {"username": TEXT, "password": TEXT, "name": TEXT, "role": _ROLE},
    secret=frozenset({"password"}),
)
# Asked for by name it is refused in words; it never becomes the embedded engines without a word.
_PROFILE = Form(
    "embedded: scale-out is not in this release, which speaks to no MongoDB, Elasticsearch or Redis",
    choice("embedded").read,
    text=True,
)
_DAYS = maybe(whole(1, 100_000, of="days"))

KEYS = (
    Key("apiserver.listen.ip", TEXT, "host", "The address to listen on; 0.0.0.0 for every one."),
    Key("apiserver.listen.port", PORT, "ports.api", "The port of the API."),
    Key("fileserver.listen.port", PORT, "ports.files", "The port of the file server."),
    Key("trainshed.web.port", PORT, "ports.web", "The port of the web application."),
    Key("trainshed.listeners", many(choice(*LISTENERS)), "listeners", "The listeners that this process runs."),
    Key("trainshed.data_dir", PATH, "data_dir", "The folder where everything is kept."),
    Key("trainshed.profile", _PROFILE, "profile", "Which engines keep everything: embedded ones, in the data folder."),
    Key(
        "trainshed.ready_file",
        maybe(PATH),
        "ready_file",
        "A file with the addresses of the listeners, there as long as they answer; `trainshed-health` asks them.",
    ),
    Key(
        "trainshed.durable",
        FLAG,
        "durable",
        "Wait for the disk at each write: a power cut loses nothing that was acknowledged.",
    ),
    Key("trainshed.addresses.web", _URL, "addresses.web", "What people call the web application. Default: worked out."),
    Key("trainshed.addresses.api", _URL, "addresses.api", "What clients call the API. Default: worked out."),
    Key(
        "trainshed.addresses.files", _URL, "addresses.files", "What clients call the file server. Default: worked out."
    ),
    Key(
        "trainshed.addresses.prefix",
        _PATH_OF_URL,
        "addresses.prefix",
        "A path under which all three are offered: /path, /path/api and /path/files. It is taken off when a proxy does not.",
    ),
    Key(
        "trainshed.addresses.hosts",
        TEXTS,
        "addresses.hosts",
        'Names that requests may come to, besides those of the addresses above; "*.example.com" for all below one.',
    ),
    Key(
        "trainshed.addresses.any_host",
        maybe(FLAG),
        "addresses.any_host",
        "Whether requests may come to any name. Default: unless the server listens on the loopback alone.",
    ),
    Key(
        "trainshed.tls.certificate",
        maybe(PATH),
        "tls.certificate",
        "A file with the certificate that TLS is served with, and those that lead to it, in PEM. Read again when it changes.",
    ),
    Key("trainshed.tls.key", maybe(PATH), "tls.key", "The file with the key of that certificate, without a password."),
    Key(
        "trainshed.tls.own",
        FLAG,
        "tls.own",
        "Serve TLS with a certificate that the server makes for itself, in the folder tls of its data.",
    ),
    Key(
        "trainshed.tls.redirect_port",
        maybe(PORT),
        "tls.redirect_port",
        "A port that sends whoever comes by http to the web application by https.",
    ),
    Key(
        "trainshed.proxies.trusted",
        many(_NETWORK),
        "addresses.trusted_proxies",
        "Proxies whose word on the address of the caller, the scheme, the host and a path that they took off is believed.",
    ),
    Key(
        "trainshed.proxies.header",
        choice("x-forwarded", "forwarded"),
        "addresses.forwarded",
        "The header that they write: X-Forwarded-For, -Proto, -Host and -Prefix; or Forwarded.",
    ),
    Key(
        "hosts.fileserver",
        _URL,
        "files_host",
        "An address by which other parts of the deployment reach the file server; links with it are known as its own.",
    ),
    Key(
        "services.async_urls_delete.fileserver.url_prefixes",
        TEXTS,
        "files_urls",
        "Addresses by which clients reach the file server, so that links with them are known as its own.",
    ),
    Key(
        "services.tasks.non_responsive_tasks_watchdog.enabled",
        FLAG,
        "watchdog",
        "Stop running tasks that give no sign of life.",
    ),
    Key(
        "services.tasks.non_responsive_tasks_watchdog.threshold_sec",
        seconds(1),
        "silence_seconds",
        "How long a running task may give no sign of life before it is stopped.",
    ),
    Key(
        "services.tasks.non_responsive_tasks_watchdog.watch_interval_sec",
        seconds(1),
        "watchdog_seconds",
        "The time between two looks for such tasks.",
    ),
    Key(
        "secure.auth.token_secret",
        signing(32),  # bytes of the hash that it is the key of
        "token_secret",
        "Signs the tokens of logins. Without it one is made in the data folder. With a new one all logins end, and credentials of"
        " clouds that were stored (storage.set_settings) have to be set anew.",
        secret=True,
    ),
    Key(
        "apiserver.auth.fixed_users.enabled",
        FLAG,
        "accounts.fixed_users.enabled",
        "The users are those of apiserver.auth.fixed_users.users, and nobody else logs in.",
    ),
    Key(
        "apiserver.auth.fixed_users.pass_hashed",
        FLAG,
        "accounts.fixed_users.pass_hashed",
        "Their passwords are the base64 form of bcrypt hashes.",
    ),
    Key(
        "apiserver.auth.fixed_users.users",
        _USERS,
        "accounts.fixed_users.users",
        "Who they are. Without a name it is the username, without a role it is user.",
    ),
    Key(
        "services.auth.fixed_users.guest.enabled",
        FLAG,
        "accounts.fixed_users.guest.enabled",
        "With fixed users: a guest, who sees everything and changes nothing. The login page tells everybody its password.",
    ),
    Key("services.auth.fixed_users.guest.username", TEXT, "accounts.fixed_users.guest.username", "Its username."),
    Key(
        "services.auth.fixed_users.guest.password",
        TEXT,
        "accounts.fixed_users.guest.password",
        "Its password, plain: no secret.",
    ),
    Key("services.auth.fixed_users.guest.name", TEXT, "accounts.fixed_users.guest.name", "How it is called."),
    Key(
        "apiserver.auth.session_auth_cookie_name",
        TEXT,
        "accounts.cookies.name",
        "The name of the cookie in which a browser keeps its login.",
    ),
    Key("apiserver.auth.cookies.httponly", FLAG, "accounts.cookies.httponly", "No script of a page can read it."),
    Key("apiserver.auth.cookies.secure", FLAG, "accounts.cookies.secure", "The browser sends it over TLS alone."),
    Key(
        "apiserver.auth.cookies.domain",
        TEXTS,
        "accounts.cookies.domain",
        "The domain that it is for; of several, the one that the request came to. Default: the host of the request alone.",
    ),
    Key(
        "apiserver.auth.cookies.samesite",
        maybe(choice("Strict", "Lax", "None")),
        "accounts.cookies.samesite",
        "Whether it goes with what pages of other sites make the browser send.",
    ),
    Key("apiserver.auth.cookies.max_age", seconds(1), "accounts.cookies.max_age", "How long the browser keeps it."),
    Key(
        "apiserver.auth.default_expiration_sec",
        seconds(1),
        "accounts.tokens.default",
        "How long a token is good whose caller did not say.",
    ),
    Key(
        "apiserver.auth.max_expiration_sec", seconds(1), "accounts.tokens.longest", "How long a token is good at most."
    ),
    Key(
        "apiserver.cors.origins",
        TEXTS,
        "accounts.cors.origins",
        'Pages that may call: "https://app.example.com", and its like, with their visitor\'s login; "*": all, but without it.',
    ),
    *(
        Key(
            f"secure.credentials.{part}.{name}",
            form,
            f"accounts.system_keys.{part}.{of}",
            doc,
            secret=name == "user_secret",
        )
        for part in ("apiserver", "fileserver", "webserver", "tests", "services_agent")
        for name, form, of, doc in (
            ("user_key", TEXT, "access_key", f"An access key of {part}. Default: its name."),
            ("user_secret", TEXT, "secret_key", f"The secret of this key; without one {part} has no key."),
            ("role", _ANY_ROLE, "role", "The role of who calls with it."),
        )
    ),
    Key(
        "trainshed.accounts.name_login",
        maybe(FLAG),
        "accounts.name_login",
        "A name alone logs in, from this machine and while nobody has a password. Default: when only this machine can connect.",
    ),
    Key(
        "trainshed.accounts.password_length",
        whole(1, 1024),
        "accounts.passwords.min_length",
        "Characters that a new password has at least.",
    ),
    Key(
        "trainshed.accounts.password_rounds",
        whole(10, 20),
        "accounts.passwords.rounds",
        "What a hash of a password costs, as a power of two; 12 are 0.2 s of one processor.",
    ),
    Key(
        "trainshed.accounts.revocation_sec",
        whole(0, 5),
        "accounts.tokens.remember",
        "How long a process may not know of a login that another process has ended.",
    ),
    Key(
        "trainshed.accounts.attempts.per_address",
        whole(1, 1000),
        "accounts.attempts.per_address",
        "Wrong passwords of one address after which it has to wait.",
    ),
    Key(
        "trainshed.accounts.attempts.per_account",
        whole(1, 1000),
        "accounts.attempts.per_account",
        "Wrong passwords for one account after which addresses that it never logged in from have to wait.",
    ),
    Key(
        "trainshed.accounts.attempts.seconds", seconds(1), "accounts.attempts.seconds", "How long each of them counts."
    ),
    Key(
        "trainshed.accounts.tickets.claim",
        seconds(60),
        "accounts.tickets.claim",
        "How long the one-time token is good that claims a new server.",
    ),
    Key(
        "trainshed.accounts.tickets.invitation",
        seconds(60),
        "accounts.tickets.invitation",
        "And that of an invitation.",
    ),
    Key("trainshed.accounts.tickets.reset", seconds(60), "accounts.tickets.reset", "And that of a new password."),
    Key(
        "trainshed.accounts.trusted_header.name",
        TEXT,
        "accounts.trusted_header.name",
        "A header in which a proxy says whom it has logged in. Default: none is believed.",
    ),
    Key(
        "trainshed.accounts.trusted_header.proxies",
        many(_NETWORK),
        "accounts.trusted_header.proxies",
        "The proxies it is believed from; they must remove what callers send under that name.",
    ),
    Key(
        "trainshed.accounts.trusted_header.drops_underscores",
        FLAG,
        "accounts.trusted_header.drops_underscores",
        "They remove headers with an underscore in the name: else callers could send X_User for X-User; one word is safe.",
    ),
    Key(
        "trainshed.accounts.trusted_header.create",
        FLAG,
        "accounts.trusted_header.create",
        "Who is new gets an account.",
    ),
    Key("trainshed.accounts.trusted_header.role", _ROLE, "accounts.trusted_header.role", "The role of this account."),
    Key(
        "trainshed.accounts.oidc.issuer",
        TEXT,
        "accounts.oidc.issuer",
        "The address of an OpenID Connect provider, through which people log in. Default: none.",
    ),
    Key("trainshed.accounts.oidc.client_id", TEXT, "accounts.oidc.client_id", "What the provider calls this server."),
    Key(
        "trainshed.accounts.oidc.client_secret",
        TEXT,
        "accounts.oidc.client_secret",
        "How this server proves itself there.",
        secret=True,
    ),
    Key("trainshed.accounts.oidc.scopes", TEXTS, "accounts.oidc.scopes", "What is asked for."),
    Key("trainshed.accounts.oidc.label", TEXT, "accounts.oidc.label", "What the button says."),
    Key("trainshed.accounts.oidc.username", TEXT, "accounts.oidc.username", "The claim that becomes the username."),
    Key("trainshed.accounts.oidc.name", TEXT, "accounts.oidc.name", "The claim that is shown as the name."),
    Key("trainshed.accounts.oidc.roles", TEXT, "accounts.oidc.roles", "The claim with groups or roles."),
    Key("trainshed.accounts.oidc.admins", TEXTS, "accounts.oidc.admins", "Its values that make an administrator."),
    Key("trainshed.accounts.oidc.viewers", TEXTS, "accounts.oidc.viewers", "Its values that make a viewer."),
    Key("trainshed.accounts.oidc.role", _ROLE, "accounts.oidc.role", "The role of everybody else."),
    Key(
        "trainshed.accounts.oidc.domains",
        TEXTS,
        "accounts.oidc.domains",
        "Domains of email addresses that may log in. Default: all.",
    ),
    Key("trainshed.accounts.oidc.create", FLAG, "accounts.oidc.create", "Who is new gets an account."),
    Key("services.async_urls_delete.enabled", FLAG, "files_deletion", "Delete the files of tasks that are deleted."),
    Key(
        "services.async_urls_delete.max_retries",
        whole(0, 1000),
        "files_retries.most",
        "How often it is tried again to delete a file.",
    ),
    Key(
        "services.async_urls_delete.retry_timeout_sec",
        seconds(1),
        "files_retries.pause",
        "The time to the first of these tries; later ones come ever more slowly.",
    ),
    Key(
        "services.tasks.multi_task_histogram_limit",
        whole(1),
        "limits.compared_tasks",
        "Tasks whose scalars one call may ask for.",
    ),
    Key("services.tasks.max_last_metrics", whole(1), "limits.last_metrics", "Metrics whose last values a task shows."),
    Key("services._mongo.max_page_size", whole(1), "limits.page_rows", "Rows of a page that does not say its size."),
    Key(
        "services._mongo.scroll_state_expiration_seconds",
        seconds(1),
        "limits.scroll",
        "How long a caller may wait before it reads on in a long list.",
    ),
    Key("services.events.max_raw_scalars_size", whole(1, MOST), "limits.raw_events", "Events or points of a page."),
    Key("services.projects.sub_projects.max_depth", whole(1, 100), "limits.project_depth", "Levels of projects."),
    Key(
        "services.organization.download.max_download_items",
        whole(1),
        "limits.table_rows",
        "Rows of a table that the web application lets be downloaded.",
    ),
    Key(
        "services.organization.download.batch_size",
        whole(1, 10_000),
        "limits.table_batch",
        "Rows of such a table that are read at once.",
    ),
    Key(
        "services.queues.hidden_tags",
        TEXTS,
        "limits.hidden_queues",
        "System tags of queues that a listing leaves out.",
    ),
    Key(
        "services.workers.default_worker_timeout_sec",
        seconds(1),
        "limits.worker",
        "A worker is gone so long after its last report, when it does not say how long.",
    ),
    Key(
        "services.workers.min_chart_interval_sec",
        whole(1, 86_400),
        "limits.worker_chart",
        "The shortest interval of a chart of workers, in seconds.",
    ),
    Key(
        "services.serving.default_container_timeout_sec",
        seconds(1),
        "limits.container",
        "A serving container is gone so long after its last report, when it does not say how long.",
    ),
    Key(
        "services.serving.min_chart_interval_sec",
        whole(1, 86_400),
        "limits.container_chart",
        "The shortest interval of a chart of serving containers, in seconds.",
    ),
    Key(
        "apiserver.workers.task_update_timeout",
        seconds(1),
        "limits.task_worker",
        "A worker is taken to be at its task for so long after its last report; a stop waits for it.",
    ),
    Key(
        "trainshed.patience_sec",
        seconds(1),
        "patience_seconds",
        "A client that sends or takes nothing of a request for so long is given up.",
    ),
    Key(
        "fileserver.upload.max_upload_size_mb",
        whole(0, of="MiB"),
        "files.max_upload_mb",
        "The largest file that may be uploaded, in MiB; 0 for any size.",
    ),
    Key(
        "fileserver.delete.allow_batch",
        FLAG,
        "files.batch_delete",
        "Whether one call may delete many files, or the whole folder of a task.",
    ),
    Key(
        "fileserver.download.disable_browser_caching",
        FLAG,
        "files.no_browser_caching",
        "Tell browsers to keep no copy of a file.",
    ),
    Key(
        "fileserver.download.cache_timeout_sec",
        whole(0, of="seconds"),
        "files.cache_seconds",
        "How long a browser may show its copy of a file without asking whether it is still the same.",
    ),
    Key(
        "trainshed.files.quota",
        SIZE,
        "files.quota_bytes",
        "What all files together may take; 0 for what the disk holds. A file that would not fit is refused with 507.",
    ),
    Key(
        "trainshed.files.keep_free",
        SIZE,
        "files.free_bytes",
        "What uploads leave free of the disk: a file that would not fit is refused with 507 before it is read.",
    ),
    Key(
        "trainshed.files.unfinished_sec",
        seconds(60),
        "files.unfinished_seconds",
        "An upload in parts to which nothing was added for so long is dropped.",
    ),
    Key(
        "trainshed.files.redirect",
        FLAG,
        "files.redirect",
        "Send downloads to an address of the object store that is good for an hour, where the files are kept in one.",
    ),
    Key(
        "logging.handlers.text_file.filename",
        maybe(PATH),
        "logs.file",
        "The file that the log is written to. Default: none, so that it goes to standard error.",
    ),
    Key(
        "trainshed.logs.max_bytes",
        SIZE,
        "logs.max_bytes",
        "The size at which the file of the log is set aside as <file>.1 and begun anew; 0 for never.",
    ),
    Key("trainshed.logs.backups", whole(0, 1000), "logs.backups", "How many files are kept aside."),
    Key("logging.root.level", choice(*LEVELS), "logs.level", "The least that is written to the log."),
    Key("trainshed.logs.form", choice(*FORMS), "logs.form", "Lines of text, or of JSON objects."),
    Key(
        "trainshed.logs.access",
        FLAG,
        "logs.access",
        "Write a line for every request: its listener, address, method, path, status and time.",
    ),
    Key(
        "trainshed.metrics.open_to",
        many(_NETWORK),
        "metrics.open_to",
        "Addresses and networks that read /metrics without a key. Administrators always can.",
    ),
    Key(
        "trainshed.files.folder",
        maybe(PATH),
        "files_place.folder",
        'The folder where files are kept, which may be on another disk. Default: "files" in the data folder.',
    ),
    Key(
        "trainshed.files.s3.bucket",
        TEXT,
        "files_place.bucket",
        "Keep files in this bucket instead, with the credentials of the machine's role, of a profile or of variables.",
    ),
    Key("trainshed.files.s3.prefix", TEXT, "files_place.prefix", "What the names of all objects begin with."),
    Key("trainshed.files.s3.endpoint", TEXT, "files_place.endpoint", "The url of a store other than Amazon's."),
    Key(
        "trainshed.files.s3.region", TEXT, "files_place.region", "The bucket's region, if the machine does not say it."
    ),
    Key("trainshed.keep.logs", _DAYS, "keep.logs", "Days after which console logs of finished tasks are removed."),
    Key(
        "trainshed.keep.images",
        _DAYS,
        "keep.images",
        "Days after which debug images of finished tasks are removed, with their files.",
    ),
    Key("trainshed.keep.plots", _DAYS, "keep.plots", "Days after which plots of finished tasks are removed."),
    Key("trainshed.keep.trash", _DAYS, "keep.trash", "Days after which tasks in the trash are removed."),
)

_SQLITE = "Everything is kept in the data folder, without MongoDB, Elasticsearch and Redis."
_ALWAYS = "It is always so."
_CURRENT = "What is shown is always current: nothing of it is kept to be shown again."
_CALLS_NOBODY = "The server calls nobody."
_BY_REPORTS = "What reports is there, and is gone when it is silent."
_ONE_COMPANY = "There is one company."
_OWN_FILES = "Files are deleted where they are, without a call over the network."

_LOG_FORM = "The key for the form of the log is trainshed.logs.form."
_LOG_PLACE = "The log goes to logging.handlers.text_file.filename, or else to standard error."

IGNORED = (
    Ignored("apiserver.mongo", _SQLITE),
    Ignored("apiserver.elastic", _SQLITE),
    Ignored("apiserver.redis", _SQLITE),
    Ignored("apiserver.db_init_timout", _SQLITE),
    Ignored("apiserver.debug", "It is for developers of that server."),
    Ignored("apiserver.watch", "It is for developers of that server."),
    Ignored("apiserver.pretty_json", "It is for developers of that server."),
    Ignored("apiserver.return_stack", "No stack trace leaves the server."),
    Ignored("apiserver.return_stack_to_caller", "No stack trace leaves the server."),
    Ignored("apiserver.return_stack_on_code", "No stack trace leaves the server."),
    Ignored("apiserver.version", "Every version of the API is answered, up to the newest."),
    Ignored("apiserver.pre_populate", "A new server is empty."),
    Ignored("apiserver.auth.verify_user_tokens", _ALWAYS),
    Ignored(
        "apiserver.auth.delete_missing_autocreated_users", "Who is no longer in it is disabled, and loses nothing."
    ),
    Ignored("apiserver.auth.cookies_domain_override", _ONE_COMPANY),
    Ignored("apiserver.auth.custom_cookies", "There is one cookie, of the session."),
    Ignored("apiserver.cors.supports_credentials", "An origin that is named may use a session; one of many may not."),
    Ignored("apiserver.default_company", _ONE_COMPANY),
    Ignored("apiserver.default_company_name", _ONE_COMPANY),
    Ignored("apiserver.workers.auto_register", _BY_REPORTS),
    Ignored("apiserver.workers.auto_unregister", _BY_REPORTS),
    Ignored("apiserver.check_for_updates", _CALLS_NOBODY),
    Ignored("apiserver.statistics", _CALLS_NOBODY),
    Ignored("apiserver.getting_started_info", "The web application says how to begin."),
    Ignored("apiserver.request.strip_prefix", "The key for it is trainshed.addresses.prefix."),
    Ignored("hosts.mongo", _SQLITE),
    Ignored("hosts.elastic", _SQLITE),
    Ignored("hosts.redis", _SQLITE),
    Ignored("hosts.apiserver", "The file server asks no other server who calls."),
    *(Ignored(f"logging.{name}", _LOG_FORM) for name in ("version", "disable_existing_loggers", "incremental")),
    *(Ignored(f"logging.{name}", _LOG_FORM) for name in ("formatters", "filters")),
    Ignored("logging.loggers", "There is one level for all that is said: logging.root.level."),
    Ignored("logging.handlers.console", _LOG_PLACE),
    Ignored("logging.handlers.text_file.class", _LOG_FORM),
    Ignored("logging.handlers.text_file.formatter", _LOG_FORM),
    Ignored("logging.root.handlers", _LOG_PLACE),
    Ignored("secure.redis", _SQLITE),
    Ignored("secure.http.session_secret", "A session is a token, which secure.auth.token_secret signs."),
    Ignored("services._mongo.allow_disk_use", _SQLITE),
    Ignored("services.tasks.hyperparam_values", _CURRENT),
    Ignored("services.tasks.async_events_delete", _ALWAYS),
    Ignored("services.tasks.async_events_delete_threshold", _ALWAYS),
    Ignored("services.models.metadata_values", _CURRENT),
    Ignored("services.organization.tags_cache", _CURRENT),
    Ignored("services.organization.ui_actions", "The web application has no actions that call other servers."),
    Ignored("services.projects.featured", "Projects are in the order that people choose."),
    Ignored("services.events.es_index_prefix", _SQLITE),
    Ignored("services.events.events_retrieval", _SQLITE),
    Ignored("services.events.scroll_id_key", "A position in a list holds nothing that has to be signed."),
    Ignored("services.events.ignore_iteration", "Every metric counts for a task's last iteration."),
    Ignored("services.events.max_metrics_count", "Every metric of a task is shown."),
    Ignored("services.events.max_variants_count", "Every variant of a metric is shown."),
    Ignored("services.events.dynamic_metrics_count", "Every metric of a task is shown."),
    Ignored("services.events.dynamic_metrics_count_threshold", "Every metric of a task is shown."),
    Ignored("services.events.multi_plots_batch_size", "Plots of many tasks come in one reply."),
    Ignored("services.events.validate_plot_str", "Plots are kept as they were reported."),
    Ignored("services.events.plot_compression_threshold", "What is large is always compressed."),
    Ignored("services.events.max_async_deleted_events_per_sec", "Deleting stands aside while others are served."),
    Ignored("services.queues.metrics_before_from_date", _CURRENT),
    Ignored("services.queues.metrics_refresh_interval_sec", _CURRENT),
    Ignored("services.workers.default_cluster_timeout_sec", "There are no clusters of workers."),
    Ignored("services.serving.container_auto_register", _BY_REPORTS),
    Ignored("services.serving.container_auto_unregister", _BY_REPORTS),
    Ignored("services.storage_credentials", "The web application and the API set them: storage.set_settings."),
    Ignored("services.async_urls_delete.fileserver.timeout_sec", _OWN_FILES),
    Ignored("services.async_urls_delete.fileserver.token_expiration_sec", _OWN_FILES),
    Ignored("fileserver.redis", _SQLITE),
    Ignored("fileserver.auth.enabled", "Files are for who has logged in, and for who has a signed link."),
    Ignored("fileserver.auth.cookie_names", "It is the cookie of apiserver.auth.session_auth_cookie_name."),
    Ignored("fileserver.auth.tokens_cache_threshold_sec", "A token that is revoked opens no file a moment later."),
    Ignored("fileserver.cors", "apiserver.cors.origins holds for files too."),
)

# Further names of keys.
ALIASES = {
    "apiserver.workers.default_timeout": "services.workers.default_worker_timeout_sec",
    "logging.handlers.text_file.maxBytes": "trainshed.logs.max_bytes",
    "logging.handlers.text_file.backupCount": "trainshed.logs.backups",
}

BY_PATH = {key.path: key for key in KEYS}
SECRETS = frozenset(key.path for key in KEYS if key.secret)

# Variables with names of their own -> the key they set; CLEARML_ or TRAINS_ may stand before them.
FIXED = {
    "TRAINSHED_DATA_DIR": "trainshed.data_dir",
    "SERVER_SUB_PATH": "trainshed.addresses.prefix",
    "UPLOAD_FOLDER": "trainshed.files.folder",
    **{
        f"{engine}_SERVICE_{what}": f"hosts.{name}.service_{what.lower()}"
        for engine, name in (("MONGODB", "mongo"), ("ELASTIC", "elastic"), ("REDIS", "redis"))
        for what in ("HOST", "PORT", "USERNAME", "PASSWORD", "CONNECTION_STRING", "QUERY")
    },
}
