"""The Events port: what a running experiment reports, in the order of millions.

The structs below are the contract's wire form at the same time: a line of a batch is decoded straight into one, which is
what makes ingest fast (measured: 5 M lines a CPU-second, against 0.4 M by way of dicts). Hence the tags and short names.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

# The iteration that marks a single value ("Summary" metrics): no point of a curve.
SINGLE_VALUE = -(2**31)


Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
# Names come back with every reading of a task's last values.
SeriesName = Annotated[str, msgspec.Meta(max_length=10_000)]


class Event(msgspec.Struct, tag_field="type", kw_only=True, gc=False):
    """One report. task: id of the task (or of the model) it belongs to. timestamp: ms since the epoch, 0 = not given."""

    task: str
    timestamp: Int64 = 0
    iter: Int64 = 0
    metric: SeriesName = ""
    variant: SeriesName = ""
    model_event: bool = False


# Left out of replies when it was not reported: clients compare whole events.
Optional = str | UnsetType | None


class ScalarEvent(Event, tag="training_stats_scalar"):
    """A point of a series."""

    value: float
    x_axis_label: str | None = None


class VectorEvent(Event, tag="training_stats_vector"):
    """Several values under one name; stored as reported."""

    values: list[float]


class LogEvent(Event, tag="log"):
    """Console output: one or many lines."""

    msg: str = ""
    level: Optional = UNSET
    worker: Optional = UNSET

    def __post_init__(self) -> None:
        self.level = UNSET if self.level is None else self.level
        self.worker = UNSET if self.worker is None else self.worker


class PlotEvent(Event, tag="plot"):
    """A figure in Plotly's JSON, kept verbatim."""

    plot_str: str
    skip_validation: bool | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        self.skip_validation = UNSET if self.skip_validation is None else self.skip_validation


class ImageEvent(Event, tag="training_debug_image"):
    """A debug sample: where the file is, not the file."""

    url: str = ""
    key: Optional = UNSET

    def __post_init__(self) -> None:
        self.key = UNSET if self.key is None else self.key


AnyEvent = ScalarEvent | VectorEvent | LogEvent | PlotEvent | ImageEvent
SampleKind = Literal["plot", "training_debug_image", "training_stats_vector"]
EventKind = Literal[SampleKind, "training_stats_scalar"]
Sample = PlotEvent | ImageEvent | VectorEvent


class SeriesStats(msgspec.Struct, frozen=True, kw_only=True):
    """Running figures of one series, over every point ever reported (overwrites included).

    value, iter and timestamp are those of the highest iteration, the latest report winning; first_value is that of the
    lowest iteration, its earliest report. The iteration of the smallest and the largest value is where it was reported
    first. mean_value is exact to about 1e-9 of the largest magnitude. x_axis_label is the latest one that was given.
    """

    metric: str
    variant: str
    value: float
    iter: int
    timestamp: int
    min_value: float
    min_value_iteration: int
    max_value: float
    max_value_iteration: int
    first_value: float
    first_value_iteration: int
    count: int
    mean_value: float
    x_axis_label: str | None = None


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The points of one series, ascending by iteration, one point an iteration. The three arrays have one length n.

    iters: int64[n]. timestamps: int64[n], ms since the epoch. values: float64[n].
    """

    metric: str
    variant: str
    iters: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]


class LogPage(msgspec.Struct, frozen=True, kw_only=True):
    """Console events in ascending order of (timestamp, arrival). total: how many the owner has in all."""

    events: list[LogEvent]
    total: int


class Place(NamedTuple):
    """Where an event stands among those of its kind: by the moment of its report, then by its name and iteration."""

    timestamp: int
    metric: str
    variant: str
    iteration: int


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one kind in the order of their places. total: how many there are on all pages."""

    events: list[ScalarEvent | Sample]
    total: int


class Note(NamedTuple):
    """What the document of an owner has to learn of its reports: the last moment (domain.dates) and the highest iteration.

    version: changes with every report.
    """

    owner: str
    is_model: bool
    moment: str
    iteration: int
    version: int = 0


class Noted(NamedTuple):
    """A note, and with it the figures of its owner's series as stats() gives them."""

    note: Note
    stats: list[SeriesStats]


class Events(Protocol):
    """A store of events by owner (a task's or a model's id).

    - add() is atomic and durable when it returns: after a kill -9 everything that was added is there, or nothing of a call
      that did not return.
    - The same owner, metric, variant and iteration reported again replaces the former scalar, plot, image or vector; the
      later call wins, within a call the later event. Log events always add.
    - A scalar at iteration SINGLE_VALUE is a single value of its series: it appears in stats() as a series of its own
      point, in scalars() only with single=True, and never mixes with a curve's points.
    - Metric and variant names are any strings that UTF-8 can carry (empty, dots, quotes, NUL, 10 kB long).
    - Values of scalars are finite 64-bit floats; iterations and timestamps are signed 64-bit integers.
    - Every method is safe from any thread and from several processes. Results are copies.
    - Errors of add(), after which nothing was written: StoreFull; ValueError for an event outside the ranges above; what
      the iterable raises. StoreError for the engine's own failures.
    """

    def add(self, events: Iterable[AnyEvent], notes: Iterable[Note] = ()) -> None:
        """Store the events, and with them the notes, each joined to the one that its owner may have."""
        ...

    def notes(self) -> list[Note]:
        """Every note that was not struck, by owner."""
        ...

    def noted(self, owners: Sequence[str], *, first: int) -> dict[str, Noted]:
        """What is noted of these owners, of one moment and durable: who writes it elsewhere is never ahead of this store.

        first: of each owner only the figures of the so many series that were reported first.
        """
        ...

    def strike(self, notes: Iterable[Note]) -> None:
        """Remove these notes, but those that came in another version since. It needs no room on the disk."""
        ...

    def stats(self, owner: str) -> list[SeriesStats]:
        """The figures of every series of the owner, by (metric, variant); a curve before the single value of that name.

        Single values have iter == SINGLE_VALUE.
        """
        ...

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
        """The series of the owner by (metric, variant): all, those of one metric, or those variants.

        single: the single values instead of the curves. above: only points of higher iterations. limit: of each series only
        its first so many points of those; it costs what these cost, not what the series costs.
        """
        ...

    def logs(
        self,
        owner: str,
        *,
        limit: int,
        earlier: bool = True,
        from_timestamp: int | None = None,
    ) -> LogPage:
        """A page of `limit` console events, and as many more as share the timestamp at its far end.

        earlier: the last events before from_timestamp (or the newest of all), the far end is the oldest; otherwise the
        first after it (or the oldest of all), the far end is the newest. from_timestamp itself is excluded. So the far
        end's timestamp is the cursor to the next page, which neither repeats nor loses an event.
        """
        ...

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
        """Plots, images or vectors by (metric, variant), highest iteration first.

        metric, variants: as in scalars(). within: only iterations from the first to the second. last_iterations: for each
        metric and variant only its so many highest of those.
        """
        ...

    def sample_names(
        self, owner: str, kind: SampleKind, *, metric: str | None = None, variants: Sequence[str] | None = None
    ) -> list[tuple[str, str, int]]:
        """(metric, variant, iteration) of what samples() would give, in the same order and much cheaper."""
        ...

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
        """The first `limit` events by Place that come after a place (descending: the last ones that come before it).

        Of scalars the curves and the single values, without labels. It costs what these events cost and a look at every
        series, not what all events cost. An event that is replaced has the place of the later report.
        """
        ...

    def metrics(self, owner: str, kind: EventKind) -> list[tuple[str, str]]:
        """The (metric, variant) names of the owner that have events of this kind, sorted."""
        ...

    def delete(self, owners: Sequence[str]) -> None:
        """Remove every event and note of these owners: at once, for good, and whatever happens to the process then.

        They may report anew. Their space comes back by compact().
        """
        ...

    def delete_logs(self, owner: str, *, before: int | None, chosen: Callable[[LogEvent], bool] | None = None) -> int:
        """Remove the console events before a moment (None: all), of these only the chosen ones; return how many."""
        ...

    def delete_samples(self, owner: str, kind: SampleKind, *, metric: str, variant: str) -> int:
        """Remove the plots, images or vectors of one name; return how many."""
        ...

    def compact(self) -> bool:
        """Do one bounded step of background work: remove deleted rows, pack recent points, give back free space.

        False when nothing is left to do. It changes no answer, may run beside every other call, and holds up writers only
        for moments.
        """
        ...

    def close(self) -> None:
        """Release the store."""
        ...
