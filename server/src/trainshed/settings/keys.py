"""Every key of the configuration, a line each: the table that all else about the configuration is made of.

To add one: give it a field in Settings (or in a dataclass that Settings has), whose default is the default, and a line here.
The reference page, `trainshed config`, the hints at unknown keys and the errors about types follow.
"""

from dataclasses import dataclass

from trainshed.services.addresses import check_network, check_prefix, check_url
from trainshed.settings import LISTENERS
from trainshed.settings.forms import FLAG, PATH, PORT, TEXT, TEXTS, Form, checked, choice, many, maybe, seconds, whole


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
_DAYS = maybe(whole(1, 100_000, of="days"))

KEYS = (
    Key("apiserver.listen.ip", TEXT, "host", "The address to listen on; 0.0.0.0 for every one."),
    Key("apiserver.listen.port", PORT, "ports.api", "The port of the API."),
    Key("fileserver.listen.port", PORT, "ports.files", "The port of the file server."),
    Key("trainshed.web.port", PORT, "ports.web", "The port of the web application."),
    Key("trainshed.listeners", many(choice(*LISTENERS)), "listeners", "The listeners that this process runs."),
    Key("trainshed.data_dir", PATH, "data_dir", "The folder where everything is kept."),
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
        "trainshed.patience_sec",
        seconds(1),
        "patience_seconds",
        "A client that sends or takes nothing of a request for so long is given up.",
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

IGNORED = (
    Ignored("apiserver.mongo", "Documents are kept in the data folder, without MongoDB."),
    Ignored("apiserver.elastic", "Events are kept in the data folder, without Elasticsearch."),
    Ignored("hosts.mongo", "Documents are kept in the data folder, without MongoDB."),
    Ignored("hosts.elastic", "Events are kept in the data folder, without Elasticsearch."),
    Ignored("hosts.redis", "What is short-lived is kept in the data folder, without Redis."),
)

BY_PATH = {key.path: key for key in KEYS}
SECRETS = frozenset(key.path for key in KEYS if key.secret)

# Variables with names of their own -> the key they set; CLEARML_ or TRAINS_ may stand before them.
FIXED = {
    "TRAINSHED_DATA_DIR": "trainshed.data_dir",
    "SERVER_SUB_PATH": "trainshed.addresses.prefix",
    **{
        f"{engine}_SERVICE_{what}": f"hosts.{name}.service_{what.lower()}"
        for engine, name in (("MONGODB", "mongo"), ("ELASTIC", "elastic"), ("REDIS", "redis"))
        for what in ("HOST", "PORT", "USERNAME", "PASSWORD", "CONNECTION_STRING", "QUERY")
    },
}
