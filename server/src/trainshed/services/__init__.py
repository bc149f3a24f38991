"""The use cases, one module a noun. They see ports and domain, never HTTP or an engine."""

from dataclasses import dataclass

from trainshed.services.accounts import Accounts, Logins, People, SingleSignOn
from trainshed.services.archive import Archive
from trainshed.services.catalog import Catalog
from trainshed.services.census import Census
from trainshed.services.cloning import Cloning
from trainshed.services.events import EventLog
from trainshed.services.facets import Facets
from trainshed.services.file_deletion import FileDeletion
from trainshed.services.file_links import FileLinks
from trainshed.services.filing import Filing
from trainshed.services.limits import Limits
from trainshed.services.models import Models
from trainshed.services.organization import Organization
from trainshed.services.pipelines import Pipelines
from trainshed.services.project_copies import ProjectCopies
from trainshed.services.project_deletion import ProjectDeletion
from trainshed.services.project_stats import ProjectStats
from trainshed.services.project_tree import ProjectTree
from trainshed.services.projects import Projects
from trainshed.services.queues import Queues
from trainshed.services.relocation import Relocation
from trainshed.services.reports import Reports
from trainshed.services.retention import Retention
from trainshed.services.serving import Serving
from trainshed.services.storage import Storage
from trainshed.services.stored_files import StoredFiles
from trainshed.services.task_parts import TaskParts
from trainshed.services.task_queueing import TaskQueueing
from trainshed.services.tasks import Tasks
from trainshed.services.users import Users
from trainshed.services.watchdog import Watchdog
from trainshed.services.workers import Workers


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """All use cases of one server, wired by bootstrap. sso: None where nobody logs in elsewhere."""

    limits: Limits
    accounts: Accounts
    people: People
    logins: Logins
    sso: SingleSignOn | None
    facets: Facets
    archive: Archive
    census: Census
    cloning: Cloning
    model_catalog: Catalog
    task_catalog: Catalog
    model_filing: Filing
    task_filing: Filing
    storage: Storage
    users: Users
    projects: Projects
    project_stats: ProjectStats
    project_tree: ProjectTree
    project_deletion: ProjectDeletion
    project_copies: ProjectCopies
    file_deletion: FileDeletion
    file_links: FileLinks
    stored_files: StoredFiles
    relocation: Relocation
    reports: Reports
    pipelines: Pipelines
    organization: Organization
    tasks: Tasks
    task_parts: TaskParts
    task_queueing: TaskQueueing
    models: Models
    events: EventLog
    watchdog: Watchdog
    retention: Retention
    queues: Queues
    workers: Workers
    serving: Serving
