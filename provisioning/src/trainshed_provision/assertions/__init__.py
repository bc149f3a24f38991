"""The image rules: one set, by the same ids, for the offline tree and for a booted machine (docs/images.md)."""

from trainshed_provision.assertions.registry import RULES
from trainshed_provision.assertions.result import Host, Result, Where

__all__ = ["RULES", "Host", "Result", "Where", "run"]


def run(host: Host, where: Where) -> list[Result]:
    """Ask every rule that applies in `where`, in the order of the registry.

    host: a Testinfra host that acts as root (sudo=True where the login is not root). Nothing is raised for a rule that
    does not hold; a host that cannot be reached raises what Testinfra raises.
    """
    results = []
    for rule_id, rule in RULES.items():
        if where not in rule.where:
            continue
        seen = rule.check(host)
        results.append(
            Result(
                rule=rule_id,
                title=rule.title,
                where=where,
                ok=seen.ok,
                file=seen.file,
                found=seen.found,
                wanted=seen.wanted,
            )
        )
    return results
