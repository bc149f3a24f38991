"""Events in one SQLite file: append fast, compact later, read columns."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from trainshed.adapters.sqlite.connection import FDATASYNC, RESERVE, Database, Sync
from trainshed.adapters.sqlite.events import compaction, figures, reading, records, sweeping, timeline, writing
from trainshed.adapters.sqlite.events.batch import by_owner
from trainshed.adapters.sqlite.events.schema import CURVE, MIGRATIONS, SAMPLE_TYPES, SINGLE, stored_kinds
from trainshed.adapters.sqlite.events.stretches import first_points, of_series
from trainshed.ports.events import (
    AnyEvent,
    EventKind,
    LogEvent,
    LogPage,
    Note,
    Noted,
    Place,
    Sample,
    SampleKind,
    ScalarEvent,
    Series,
    SeriesStats,
    Timeline,
)

_SPARE_BYTES = 4 * 2**20  # of free pages that the file keeps in any case


class SqliteEvents:
    """The Events port on one SQLite file. path, durable, reserve, sync: as for Database."""

    def __init__(self, path: Path, *, durable: bool = True, reserve: int = RESERVE, sync: Sync = FDATASYNC) -> None:
        self.database = Database(path, durable=durable, reserve=reserve, migrations=MIGRATIONS, sync=sync)
        self._names = writing.Names()
        self._packed_bytes = 0  # of tails, since compact() had nothing left to do

    def add(self, events: Iterable[AnyEvent], notes: Iterable[Note] = ()) -> None:
        try:
            batches = by_owner(events)
            with self.database.write() as connection:
                writer = writing.Writer(connection, self._names)
                for owner, batch in batches.items():
                    writer.store(owner, batch)
                writing.put_notes(connection, notes)
        except OverflowError as error:
            raise ValueError("an iteration or timestamp does not fit into 64 bits") from error
        self._names.remember(writer.learnt)  # not before the commit: it may have failed

    def notes(self) -> list[Note]:
        with self.database.read() as connection:
            return reading.notes(connection)

    def noted(self, owners: Sequence[str], *, first: int) -> dict[str, Noted]:
        with self.database.read(lasting=True) as connection:
            return {
                owner: Noted(note, _stats(connection, owner, first))
                for owner in owners
                if (note := reading.note_of(connection, owner))
            }

    def strike(self, notes: Iterable[Note]) -> None:
        # A note that comes back tells its document nothing new, so that nobody need wait for the disk here.
        with self.database.write(freeing=True, lasting=False) as connection:
            writing.strike_notes(connection, notes)

    def stats(self, owner: str) -> list[SeriesStats]:
        with self.database.read() as connection:
            return _stats(connection, owner)

    def scalars(
        self,
        owner: str,
        *,
        metric: str | None = None,
        variants: Sequence[str] | None = None,
        single: bool = False,
        above: int | None = None,
        limit: int | None = None,
    ) -> list[Series]:
        kind = SINGLE if single else CURVE
        whole = above is None and limit is None
        with self.database.read() as connection:
            found = reading.find_series(connection, owner, kinds=(kind,), metric=metric, variants=variants)
            if not found:
                return []
            wanted = None if metric is None and not single else {series for series, _, _ in found}
            young = reading.young(connection, owner, wanted)
            parts = [
                (
                    reading.chunks(connection, series)
                    if whole
                    else list(
                        first_points(connection, of_series(connection, series, young.pop(series, None)), above, limit)
                    )
                )
                for series, _, _ in found
            ]
        return [
            reading.series_of(name, variant, part, young.get(series))
            for (series, name, variant), part in zip(found, parts, strict=True)
            if part or series in young
        ]

    def logs(self, owner: str, *, limit: int, earlier: bool = True, from_timestamp: int | None = None) -> LogPage:
        with self.database.read() as connection:
            total, bodies = reading.logs(connection, owner, limit=limit, earlier=earlier, from_timestamp=from_timestamp)
        return LogPage(events=[records.unpack(LogEvent, owner, body) for body in bodies], total=total)

    def samples(
        self,
        owner: str,
        kind: SampleKind,
        *,
        metric: str | None = None,
        variants: Sequence[str] | None = None,
        last_iterations: int | None = None,
        within: tuple[int, int] | None = None,
    ) -> list[Sample]:
        event_type = SAMPLE_TYPES[kind]
        with self.database.read() as connection:
            bodies = [
                body
                for series, _, _ in reading.find_series(
                    connection, owner, kinds=stored_kinds(kind), metric=metric, variants=variants
                )
                for body in reading.samples(connection, series, within=within, limit=last_iterations)
            ]
        return [records.unpack(event_type, owner, body) for body in bodies]

    def sample_names(
        self, owner: str, kind: SampleKind, *, metric: str | None = None, variants: Sequence[str] | None = None
    ) -> list[tuple[str, str, int]]:
        with self.database.read() as connection:
            return [
                (name, variant, iteration)
                for series, name, variant in reading.find_series(
                    connection, owner, kinds=stored_kinds(kind), metric=metric, variants=variants
                )
                for iteration in reading.sample_iterations(connection, series)
            ]

    def timeline(
        self,
        owner: str,
        kind: EventKind,
        *,
        metric: str | None = None,
        variants: Sequence[str] | None = None,
        after: Place | None = None,
        descending: bool = False,
        limit: int,
    ) -> Timeline:
        window = timeline.Window(after, descending, limit)
        with self.database.read() as connection:
            found = reading.find_series(connection, owner, kinds=stored_kinds(kind), metric=metric, variants=variants)
            if kind == "training_stats_scalar":
                wanted = None if metric is None else {series for series, _, _ in found}
                young = reading.young(connection, owner, wanted)
                points, total = timeline.points(connection, owner, found, young, window)
                return Timeline(events=list[ScalarEvent | Sample](points), total=total)
            bodies, total = timeline.samples(connection, found, window)
        return Timeline(events=[records.unpack(SAMPLE_TYPES[kind], owner, body) for body in bodies], total=total)

    def metrics(self, owner: str, kind: EventKind) -> list[tuple[str, str]]:
        with self.database.read() as connection:
            found = reading.find_series(connection, owner, kinds=stored_kinds(kind))
            if kind != "training_stats_scalar":  # samples may have been deleted and their series stay
                found = [row for row in found if reading.has_samples(connection, row[0])]
        return sorted({(metric, variant) for _, metric, variant in found})

    def delete(self, owners: Sequence[str]) -> None:
        with self.database.write(freeing=True) as connection:
            for owner in owners:
                writing.delete(connection, owner)

    def delete_logs(self, owner: str, *, before: int | None, chosen: Callable[[LogEvent], bool] | None = None) -> int:
        with self.database.write(freeing=True) as connection:
            rows = reading.logs_before(connection, owner, before)
            ids = [log for log, body in rows if chosen is None or chosen(records.unpack(LogEvent, owner, body))]
            writing.delete_logs(connection, owner, ids)
        return len(ids)

    def delete_samples(self, owner: str, kind: SampleKind, *, metric: str, variant: str) -> int:
        with self.database.write(freeing=True) as connection:
            found = reading.find_series(connection, owner, kinds=stored_kinds(kind), metric=metric, variants=[variant])
            return sum(writing.delete_samples(connection, series) for series, _, _ in found)

    def compact(self) -> bool:
        return self._sweep() or self._pack() or self._shrink()

    def close(self) -> None:
        self.database.close()

    def _sweep(self) -> bool:
        with self.database.read() as connection:
            if not sweeping.anything(connection):
                return False
        with self.database.write(freeing=True) as connection:
            sweeping.step(connection)
        return True

    def _pack(self) -> bool:
        with self.database.read() as connection:
            packing = compaction.prepare(connection)
        if packing is None:
            return False
        with suppress(compaction.Outdated), self.database.write(freeing=True) as connection:
            compaction.apply(connection, packing)
        self._packed_bytes += packing.tail_bytes
        return True

    def _shrink(self) -> bool:
        """Give back free pages, but for as many as the tails of this round took: those of the next will need them."""
        with self.database.read() as connection:
            pages = sweeping.spare_pages(connection, keep=max(_SPARE_BYTES, self._packed_bytes))
        if pages:
            with self.database.write(freeing=True) as connection:
                sweeping.give_back(connection, pages)
        else:
            self._packed_bytes = 0
        return bool(pages)


def _stats(connection: sqlite3.Connection, owner: str, first: int | None = None) -> list[SeriesStats]:
    return [figures.from_row(row[0], row[1], row[2:]) for row in reading.figures(connection, owner, first)]
