"""Applies the roles to the tree, in a chroot in which nothing can be started."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from trainshed_provision import process
from trainshed_provision.bake.context import Bake

SKIPPED = "trainshed_base_run,trainshed_run"  # the phases that start things
NO_STARTS = "#!/bin/sh\nexit 101\n"  # what invoke-rc.d asks before it starts a service


def in_root(bake: Bake, argv: Sequence[str | Path]) -> list[str | Path]:
    """argv with the tree's /proc, /sys and /dev mounted and empty temporary folders, all private to the command."""
    script = bake.checkout / "images" / "common" / "in-root.sh"
    return ["unshare", "--mount", "--propagation", "private", "sh", script, bake.tree, *argv]


def no_starts(tree: Path) -> None:
    """Keep packages from starting what they bring; cleaning takes it out again."""
    policy = tree / "usr" / "sbin" / "policy-rc.d"
    policy.write_text(NO_STARTS)
    policy.chmod(0o755)


def playbook_argv(bake: Bake, wheelhouse: Path) -> list[str | Path]:
    """ansible-playbook on the tree."""
    variables = {
        "trainshed_base_update_cache": False,
        "trainshed_version": bake.version,
        "trainshed_wheelhouse": str(wheelhouse),
    }
    return [
        *(Path(sys.executable).with_name("ansible-playbook"), "--inventory", f"{bake.tree},"),
        *("--connection", "community.general.chroot", "--skip-tags", SKIPPED),
        *("--extra-vars", json.dumps(variables), bake.checkout / "playbooks" / "bake.yml"),
    ]


def converge(bake: Bake, wheelhouse: Path) -> None:
    """Run the playbook; its output goes to the log."""
    no_starts(bake.tree)
    process.run(
        in_root(bake, playbook_argv(bake, wheelhouse)),
        env={
            **bake.environment,
            "ANSIBLE_CONFIG": str(bake.checkout / "ansible.cfg"),
            "ANSIBLE_HOME": str(bake.work / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(bake.work / "ansible"),
            "ANSIBLE_REMOTE_TEMP": "/tmp/ansible",  # noqa: S108 - of the tree, in memory
        },
        log_to=bake.log,
    )
