"""Servers in this process that are set up by files and variables."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trainshed import bootstrap
from trainshed.bootstrap import Engines
from trainshed.domain.identity import Identity
from trainshed.services import Services
from trainshed.settings import Settings
from trainshed.settings.loading import Level, load
from trainshed.testing.api import ApiClient, memory_engines


@pytest.fixture
def engines(tmp_path: Path) -> Engines:
    return memory_engines(tmp_path)


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Settings]:
    """The settings that files, by name, and variables make."""

    def settings(files: dict[str, str] | None = None, **variables: str) -> Settings:
        for name, text in (files or {}).items():
            (tmp_path / f"{name}.conf").write_text(text)
        loaded = load({"CLEARML_CONFIG_DIR": str(tmp_path), "TRAINSHED_DATA_DIR": str(tmp_path / "data"), **variables})
        assert loaded.settings is not None, loaded.findings
        assert loaded.worst() in (None, Level.NOTE), loaded.findings
        return loaded.settings

    return settings


@pytest.fixture
def served() -> Callable[[Settings, Engines], tuple[ApiClient, Services]]:
    """A server that is set up so, with a user who calls it; and its use cases."""

    def serve(settings: Settings, engines: Engines) -> tuple[ApiClient, Services]:
        settings.data_dir.mkdir(exist_ok=True)
        services = bootstrap.configured_services(settings, engines)
        user = services.accounts.create_user("tester")
        keys = services.accounts.create_credentials(user)
        token = services.accounts.issue_token(Identity(user=user))  # who may be nobody that may log in
        services.accounts.ensure_admin()
        bootstrap.prepare_accounts(settings, services)
        http = bootstrap.build_apps(engines, services, settings.accounts)["api"].test_client(use_cookies=False)
        return ApiClient(engines=engines, http=http, user=user, keys=keys, authorization=f"Bearer {token}"), services

    return serve
