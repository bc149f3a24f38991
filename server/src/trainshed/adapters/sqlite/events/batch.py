"""A call of add(), sorted by owner and series and made ready to be written: what can be done before the lock is taken."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from trainshed.adapters.sqlite.events import records
from trainshed.adapters.sqlite.events.figures import Row, of_point, of_points
from trainshed.adapters.sqlite.events.points import pack_columns
from trainshed.adapters.sqlite.events.schema import CURVE, SINGLE, STORED_KINDS
from trainshed.ports.events import SINGLE_VALUE, AnyEvent, LogEvent, ScalarEvent

SeriesName = tuple[str, str, int]  # (metric, variant, kind): in the order of the answers


@dataclass
class OwnerBatch:
    """What one owner reported.

    scalars: the points of each series in order of arrival. logs: (timestamp, body). samples: iteration -> (timestamp, body).
    Of the series, in the order of their names: counts, how many points each has; figures, those of these points; and
    the points themselves, series after series, in columns.
    """

    scalars: defaultdict[SeriesName, list[ScalarEvent]] = field(default_factory=lambda: defaultdict(list))
    logs: list[tuple[int, bytes]] = field(default_factory=list)
    samples: defaultdict[SeriesName, dict[int, tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(dict))
    names: list[SeriesName] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    figures: list[Row] = field(default_factory=list)
    columns: bytes = b""

    def pack(self) -> None:
        """Derive the others from `scalars`. Raises ValueError or OverflowError."""
        self.names = sorted(self.scalars)
        iters: list[int] = []
        timestamps: list[int] = []
        values: list[float] = []
        for events in map(self.scalars.__getitem__, self.names):
            if len(events) == 1:  # the usual report of a wide model: do without the searching
                (event,) = events
                self.figures.append(of_point(event))
                iters.append(event.iter)
                timestamps.append(event.timestamp)
                values.append(event.value)
            else:
                its_iters, its_values = [event.iter for event in events], [event.value for event in events]
                self.figures.append(of_points(events, its_iters, its_values))
                iters += its_iters
                timestamps += [event.timestamp for event in events]
                values += its_values
            self.counts.append(len(events))
        self.columns = pack_columns(iters, timestamps, values)


def by_owner(events: Iterable[AnyEvent]) -> dict[str, OwnerBatch]:
    """Owner -> what it reported, ready to be written. Raises ValueError or OverflowError for an event out of range."""
    batches: defaultdict[str, OwnerBatch] = defaultdict(OwnerBatch)
    for event in events:
        if type(event) is ScalarEvent:  # nearly all are: cheaper than isinstance
            kind = SINGLE if event.iter == SINGLE_VALUE else CURVE
            batches[event.task].scalars[event.metric, event.variant, kind].append(event)
        elif isinstance(event, LogEvent):
            batches[event.task].logs.append((event.timestamp, records.pack(event)))
        else:
            name = (event.metric, event.variant, STORED_KINDS[type(event)])
            batches[event.task].samples[name][event.iter] = (event.timestamp, records.pack(event))
    for batch in batches.values():
        batch.pack()
    return batches
