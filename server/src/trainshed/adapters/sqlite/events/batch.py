"""A call of add(), sorted by owner and series and made ready to be written: what can be done before the lock is taken."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from trainshed.adapters.sqlite.events import figures, records
from trainshed.adapters.sqlite.events.points import pack_columns
from trainshed.adapters.sqlite.events.schema import CURVE, SINGLE, STORED_KINDS
from trainshed.ports.events import SINGLE_VALUE, AnyEvent, LogEvent, ScalarEvent, SeriesStats

SeriesName = tuple[str, str, int]  # (metric, variant, kind): in the order of the answers


@dataclass
class OwnerBatch:
    """What one owner reported.

    scalars: the points of each series in order of arrival. logs: (timestamp, body). samples: iteration -> (timestamp, body).
    """

    scalars: defaultdict[SeriesName, list[ScalarEvent]] = field(default_factory=lambda: defaultdict(list))
    logs: list[tuple[int, bytes]] = field(default_factory=list)
    samples: defaultdict[SeriesName, dict[int, tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(dict))
    figures: list[SeriesStats] = field(default_factory=list)
    columns: bytes = b""

    def pack(self) -> None:
        """Sort the series by name and derive `figures` and `columns`, which are in that order."""
        self.scalars = defaultdict(list, sorted(self.scalars.items()))
        self.figures = [figures.of_batch(events) for events in self.scalars.values()]
        points = [event for events in self.scalars.values() for event in events]
        self.columns = pack_columns(
            [event.iter for event in points], [event.timestamp for event in points], [event.value for event in points]
        )


def by_owner(events: Iterable[AnyEvent]) -> dict[str, OwnerBatch]:
    """Owner -> what it reported, ready to be written. Raises ValueError or OverflowError for an event out of range."""
    batches: defaultdict[str, OwnerBatch] = defaultdict(OwnerBatch)
    for event in events:
        batch = batches[event.task]
        if type(event) is ScalarEvent:  # nearly all are: cheaper than isinstance
            kind = SINGLE if event.iter == SINGLE_VALUE else CURVE
            batch.scalars[event.metric, event.variant, kind].append(event)
        elif isinstance(event, LogEvent):
            batch.logs.append((event.timestamp, records.pack(event)))
        else:
            name = (event.metric, event.variant, STORED_KINDS[type(event)])
            batch.samples[name][event.iter] = (event.timestamp, records.pack(event))
    for batch in batches.values():
        batch.pack()
    return batches
