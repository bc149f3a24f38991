"""The tables of the events database.

A report of scalars becomes one row of `tail` for each owner, and is packed later into one row of `chunk` for each series. Ids
that are never used again (AUTOINCREMENT) are what lets names be remembered, and chunks be prepared, outside of a
transaction: a row with a known id is the known row, or it is gone.
"""

from trainshed.ports.events import EventKind, ImageEvent, PlotEvent, SampleKind, VectorEvent

# The kinds of a series, as stored. A curve sorts before the single value of its name.
CURVE, SINGLE, PLOT, IMAGE, VECTOR = range(5)
STORED_KINDS = {PlotEvent: PLOT, ImageEvent: IMAGE, VectorEvent: VECTOR}
SAMPLE_TYPES: dict[SampleKind, type[PlotEvent] | type[ImageEvent] | type[VectorEvent]] = {
    "plot": PlotEvent,
    "training_debug_image": ImageEvent,
    "training_stats_vector": VectorEvent,
}


def stored_kinds(kind: EventKind) -> tuple[int, ...]:
    """Those of its series."""
    return (CURVE, SINGLE) if kind == "training_stats_scalar" else (STORED_KINDS[SAMPLE_TYPES[kind]],)


MIGRATIONS = (
    (
        # logs: how many the owner has, so that a page need not count them
        "CREATE TABLE owner (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, logs INTEGER NOT NULL) STRICT",
        """CREATE TABLE series (
            id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL, metric TEXT NOT NULL, variant TEXT NOT NULL,
            kind INTEGER NOT NULL, UNIQUE (owner, metric, variant, kind)) STRICT""",
        # the fields of SeriesStats
        """CREATE TABLE figures (
            series INTEGER PRIMARY KEY, value REAL NOT NULL, iter INTEGER NOT NULL, timestamp INTEGER NOT NULL,
            min_value REAL NOT NULL, min_iter INTEGER NOT NULL, max_value REAL NOT NULL, max_iter INTEGER NOT NULL,
            first_value REAL NOT NULL, first_iter INTEGER NOT NULL, count INTEGER NOT NULL, mean REAL NOT NULL,
            label TEXT) STRICT""",
        # body: points.pack_tail; later rows win over earlier ones and over chunks
        "CREATE TABLE tail (id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL, body BLOB NOT NULL) STRICT",
        "CREATE INDEX tail_owner ON tail (owner)",
        # points low..high of a series, one an iteration, of the moments earliest..latest; body: points.encode; later rows win
        # over earlier ones. The body is last: what comes after it can only be read through all of it.
        """CREATE TABLE chunk (
            id INTEGER PRIMARY KEY AUTOINCREMENT, series INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
            earliest INTEGER NOT NULL, latest INTEGER NOT NULL, count INTEGER NOT NULL, body BLOB NOT NULL) STRICT""",
        "CREATE INDEX chunk_series ON chunk (series)",
        # body: records.pack
        """CREATE TABLE sample (
            series INTEGER NOT NULL, iter INTEGER NOT NULL, timestamp INTEGER NOT NULL, body BLOB NOT NULL,
            UNIQUE (series, iter)) STRICT""",
        "CREATE INDEX sample_time ON sample (series, timestamp, iter)",
        """CREATE TABLE log (
            id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, timestamp INTEGER NOT NULL, body BLOB NOT NULL) STRICT""",
        "CREATE INDEX log_owner ON log (owner, timestamp)",
        # what documents have to learn, see Note
        """CREATE TABLE note (
            owner TEXT PRIMARY KEY, is_model INTEGER NOT NULL, moment TEXT NOT NULL, iteration INTEGER NOT NULL,
            version INTEGER NOT NULL) STRICT, WITHOUT ROWID""",
        # owners that were deleted, whose rows are still to be removed
        "CREATE TABLE doomed (owner INTEGER PRIMARY KEY) STRICT",
    ),
)
