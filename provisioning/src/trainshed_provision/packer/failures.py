"""What goes wrong in a build of Packer's, said in our words: the first line of this table that its complaint holds."""

import json
import re

from trainshed_provision.errors import Exit, ShedError

LINES_SHOWN = 12  # of a complaint that is not in the table
LONGEST = 300  # characters of a line

# What is looked for in the complaint, the part that says it all in brackets, if there is one; what is said of it; what to do
# next; the kind.
TABLE: tuple[tuple[str, str, str, Exit], ...] = (
    (
        r"NoCredentialProviders|no valid credential sources|No valid credential",
        "there are no credentials for AWS here",
        "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run on a machine with a role",
        Exit.MISSING,
    ),
    (
        r"could not find default credentials|google: could not find",
        "there are no credentials for Google here",
        "run: gcloud auth application-default login",
        Exit.MISSING,
    ),
    (
        r"ExpiredToken|RequestExpired|invalid_grant|InvalidClientTokenId|AuthFailure",
        "the credentials have expired or are not good",
        "log in anew and run it again; nothing was left behind",
        Exit.MISSING,
    ),
    (
        r"UnauthorizedOperation|AccessDenied|Required '([\w.]+)' permission|forbidden",
        "a right is missing",
        "docs/packer.md lists the rights that a build needs",
        Exit.MISSING,
    ),
    (
        r"No AMI was found matching filters|InvalidAMIID|Could not find image|was not found, or no images in family",
        "no such base image",
        "look at source_ami, source_filter and source_owners (gcp: source_image, source_family, source_projects), and the region",
        Exit.NOT_FOUND,
    ),
    (
        r"VcpuLimitExceeded|InstanceLimitExceeded|QUOTA_EXCEEDED|Quota '",
        "a quota of the account is used up",
        "ask for more of it, or give another instance_type, machine_type or region",
        Exit.FAILED,
    ),
    (
        r"Timeout waiting for SSH|timeout waiting for SSH|ssh: handshake failed",
        "the builder cannot be reached by ssh",
        "look at ssh_username and ssh_interface, and whether its network lets ssh in from here",
        Exit.FAILED,
    ),
    (
        r'A "([\w-]+)" variable was passed in the command',
        "there is no variable of that name",
        "see: shed packer {target} inspect",
        Exit.USAGE,
    ),
    (
        r"Invalid value for \w+ variable[\s\S]*?\n\n(?!  on )([^\n]+)\n\nThis was checked",
        "a variable has a value that cannot be meant",
        "see: shed packer {target} inspect",
        Exit.USAGE,
    ),
    (
        r"Unsupported argument|Unsupported block type|[Uu]nknown .* builder|is unknown by Packer|could not be found",
        "this Packer does not know all that the template uses",
        "build the pinned one with images/packer/install, or: packer init images/packer/plugins.pkr.hcl",
        Exit.MISSING,
    ),
    (
        r"Cannot connect to the Docker daemon|docker\"?: executable file not found",
        "there is no Docker here that answers",
        "start dockerd, or ask for the right to use it",
        Exit.MISSING,
    ),
    (
        r"Could not access KVM|failed to initialize kvm|KVM kernel module",
        "there is no KVM on this machine",
        "add: --var accelerator=tcg --var cpu=Nehalem",
        Exit.MISSING,
    ),
    (
        r"No space left on device|no space left on device",
        "no space left on the disk",
        "free some and run it again",
        Exit.NO_SPACE,
    ),
    (
        r"image rules do not hold|rules do not hold",
        "the builder does not hold a rule of an image, so none was made",
        "mend the base, or waive the rule: --var 'waived_rules=[\"B04\"]'",
        Exit.CORRUPT,
    ),
)


def explained(complaint: str, *, target: str, log: str, output: str = "") -> ShedError:
    """The error for a build that failed. complaint: what Packer says of it. output: all that was said before, by Ansible too."""
    task = _failed_task(output)
    for text in (complaint, task):
        for pattern, message, hint, code in TABLE:
            if found := re.search(pattern, text):
                what = found[1] if found.lastindex else _line_of(text, found.start())
                shown = _shown(text) if text is task else f": {what}"
                return ShedError(message + shown, hint=hint.format(target=target), code=code)
    whole = f"the whole output is in {log}"
    if task:
        return ShedError("a task of the playbook failed" + _shown(task), hint=whole, code=Exit.FAILED)
    return ShedError("packer failed" + _shown(complaint), hint=whole, code=Exit.FAILED)


def _failed_task(output: str) -> str:
    """The task of Ansible's that failed, and what it said; nothing when none did."""
    # Packer writes line ends as Ansible's JSON does, so those inside of a text have become real ones.
    found = re.search(r"fatal: \[[^\]]*\].*?=> (\{.*?\})$", output, re.MULTILINE | re.DOTALL)
    if not found:
        return ""
    *_, name = ["", *re.findall(r"TASK \[(.*?)\] \*", output[: found.start()])]
    try:
        said = json.loads(found[1], strict=False)
    except ValueError:
        said = {"msg": found[1]}
    parts = [said.get(key) or "" for key in ("stdout", "module_stdout", "stderr", "module_stderr")]
    return "\n".join(
        ["task: " + name, *(part for part in parts if part.strip())] + ([] if any(parts) else [str(said.get("msg"))])
    )


def _shown(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()][-LINES_SHOWN:]
    return "".join(f"\n    {line[:LONGEST]}" for line in lines)


def _line_of(text: str, place: int) -> str:
    start = text.rfind("\n", 0, place) + 1
    end = text.find("\n", place)
    return text[start : end if end >= 0 else None].strip()[:LONGEST]
