"""The image rules: one set of ids, for the offline tree, a booted machine and a server seen from outside (docs/images.md)."""

from trainshed_provision.assertions.registry import RULES
from trainshed_provision.assertions.result import Finding, Host, Result, Where

__all__ = ["RULES", "Finding", "Host", "Result", "Where", "run"]


def run(host: Host, where: Where) -> list[Result]:
    """Ask every rule that applies in `where`, in the order of the registry.

    host: a Testinfra host that acts as root (sudo=True where the login is not root). Nothing is raised for a rule that
    does not hold; a host that cannot be reached raises what Testinfra raises.
    """
    return [
        Result.of(rule_id, rule.title, where, rule.check(host))
        for rule_id, rule in RULES.items()
        if where in rule.where
    ]
