"""Events in one SQLite file: append fast, compact later, read columns."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from trainshed.adapters.sqlite.connection import RESERVE, Database
from trainshed.adapters.sqlite.events import compaction, figures, reading, records, sweeping, writing
from trainshed.adapters.sqlite.events.batch import by_owner
from trainshed.adapters.sqlite.events.points import unpack_tails
from trainshed.adapters.sqlite.events.schema import CURVE, MIGRATIONS, SAMPLE_TYPES, SINGLE, STORED_KINDS
from trainshed.ports.events import AnyEvent, LogEvent, LogPage, Sample, SampleKind, Series, SeriesStats

_SPARE_BYTES = 4 * 2**20  # of free pages that the file keeps in any case


class SqliteEvents:
    """The Events port on one SQLite file. path, durable, reserve: as for Database."""

    def __init__(self, path: Path, *, durable: bool = True, reserve: int = RESERVE) -> None:
        self.database = Database(path, durable=durable, reserve=reserve, migrations=MIGRATIONS)
        self._names = writing.Names()
        self._packed_bytes = 0  # of tails, since compact() had nothing left to do

    def add(self, events: Iterable[AnyEvent]) -> dict[str, list[SeriesStats]]:
        try:
            batches = by_owner(events)
            with self.database.write() as connection:
                writer = writing.Writer(connection, self._names)
                stats = {owner: writer.store(owner, batch) for owner, batch in batches.items()}
        except OverflowError as error:
            raise ValueError("an iteration or timestamp does not fit into 64 bits") from error
        self._names.remember(writer.learnt)  # not before the commit: it may have failed
        return stats

    def stats(self, owner: str) -> list[SeriesStats]:
        with self.database.read() as connection:
            return [figures.from_row(row[0], row[1], row[2:]) for row in reading.figures(connection, owner)]

    def scalars(
        self, owner: str, *, metric: str | None = None, variants: Sequence[str] | None = None, single: bool = False
    ) -> list[Series]:
        with self.database.read() as connection:
            found = reading.find_series(
                connection, owner, kind=SINGLE if single else CURVE, metric=metric, variants=variants
            )
            chunks = {series: reading.chunks(connection, series) for series, _, _ in found}
            tails = reading.tails(connection, owner) if found else []
        young = unpack_tails(tails)
        return [reading.series_of(name, variant, chunks[series], young.get(series)) for series, name, variant in found]

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
        before_iteration: int | None = None,
    ) -> list[Sample]:
        event_type = SAMPLE_TYPES[kind]
        with self.database.read() as connection:
            bodies = [
                body
                for series, _, _ in reading.find_series(
                    connection, owner, kind=STORED_KINDS[event_type], metric=metric, variants=variants
                )
                for body in reading.samples(connection, series, below=before_iteration, limit=last_iterations)
            ]
        return [records.unpack(event_type, owner, body) for body in bodies]

    def metrics(self, owner: str, kind: SampleKind | Literal["training_stats_scalar"]) -> list[tuple[str, str]]:
        kinds = (CURVE, SINGLE) if kind == "training_stats_scalar" else (STORED_KINDS[SAMPLE_TYPES[kind]],)
        with self.database.read() as connection:
            found = [row for stored in kinds for row in reading.find_series(connection, owner, kind=stored)]
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
