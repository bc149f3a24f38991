"""What every rule of the two clouds and of good practice comes to here: asked by which program, proved by which test, or why not.

The ids are those of the rules that images are judged by; `docs/reference/image-rules.md` is made from this table. R: a published
rule of a marketplace. P: the platform does not work right without it. T: in Google's own bar for releases. B: good practice.
"""

from dataclasses import dataclass

from trainshed_provision.assertions.outside import OUTSIDE
from trainshed_provision.assertions.registry import RULES


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One rule. says: what has to hold. tests: those that prove it, as pytest names them. reason: why it is not asked, or not
    whole; empty when it is."""

    level: str
    says: str
    tests: tuple[str, ...] = ()
    reason: str = ""


FIRST_BOOT = "tests/infra/test_first_boot.py"
FORMATS = "tests/infra/test_formats.py"
PROOF = "tests/infra/test_proof.py"
BACKUP = "server/tests/operations/test_backup.py"
_NO_CONTAINERS = "No containers run in the machine."
_NO_UPGRADE = "There is no command for upgrades yet; another image takes over the data volume as it is."
_MARKETPLACE = "It is about a listing in a marketplace, and there is none yet."

CATALOGUE: dict[str, Entry] = {
    "A01": Entry(level="R", says="root has no usable password"),
    "A02": Entry(level="R", says="no account has a password hash"),
    "A03": Entry(level="R", says="no password is blank or in passwd"),
    "A04": Entry(level="R", says="no authorized keys"),
    "A05": Entry(level="R", says="no private keys"),
    "A06": Entry(level="R", says="no tokens of clouds, registries or git"),
    "A07": Entry(level="R", says="no secrets of the server"),
    "A08": Entry(
        level="R",
        says="two machines of one image share no secret",
        tests=(f"{FIRST_BOOT}::test_two_machines_of_one_image_have_nothing_secret_in_common",),
    ),
    "A09": Entry(
        level="R",
        says="strangers are refused from the first moment",
        tests=(f"{FIRST_BOOT}::test_a_stranger_was_refused_from_the_first_moment",),
    ),
    "A10": Entry(level="R", says="nobody else has a way in"),
    "A11": Entry(level="R", says="no access key of a cloud is asked for"),
    "A12": Entry(level="R", says="one login, without a password"),
    "A13": Entry(level="T", says="system accounts have no shell"),
    "A14": Entry(level="B", says="no build user"),
    "A15": Entry(level="B", says="secrets made at first boot are private"),
    "A16": Entry(
        level="B",
        says="no secret in user data, metadata, logs or arguments",
        reason="But for the one-time token on the console, which is how the owner claims the server: void once used, and "
        "after its deadline.",
    ),
    "S01": Entry(level="R", says="ssh takes no passwords"),
    "S02": Entry(level="R", says="ssh takes no root"),
    "S03": Entry(level="B", says="ssh is hardened"),
    "S04": Entry(level="R", says="no ssh host keys"),
    "S05": Entry(
        level="T",
        says="host keys are made at first boot and stay",
        tests=(f"{PROOF}::test_after_a_reboot_it_is_still_there",),
    ),
    "S06": Entry(level="R", says="sshd is reachable at port 22 from every address"),
    "S07": Entry(level="R", says="cloud-init keeps ssh strict"),
    "S08": Entry(level="B", says="no old trust files"),
    "I01": Entry(level="P", says="machine-id is empty"),
    "I02": Entry(level="P", says="no state of cloud-init"),
    "I03": Entry(level="P", says="cloud-init is on, for each new machine"),
    "I04": Entry(level="B", says="no shell histories"),
    "I05": Entry(level="B", says="no logs of the build"),
    "I06": Entry(level="B", says="no temporary files"),
    "I07": Entry(level="B", says="no caches"),
    "I08": Entry(level="B", says="no host name or network of the builder"),
    "I09": Entry(level="B", says="no proxies, no build repositories"),
    "I10": Entry(level="B", says="no random seed"),
    "I11": Entry(level="B", says="the build is named"),
    "I12": Entry(
        level="B",
        says="nothing deleted can be recovered",
        tests=("provisioning/tests/test_formats_raw.py::test_what_is_wrong_is_named",),
    ),
    "P01": Entry(level="R", says="the system is supported"),
    "P02": Entry(
        level="R",
        says="no known vulnerability that has a fix",
        reason="The papers of an image name them, and what changed since the last one; the bake has no list of its own.",
    ),
    "P03": Entry(level="R", says="the image is younger than two years", reason=_MARKETPLACE),
    "P04": Entry(
        level="B",
        says="no security update is pending",
        reason="The lock names the packages, so that a bake can be repeated; `shed bake --update-lock` takes the newest.",
    ),
    "P05": Entry(level="T", says="security updates install themselves, and nothing else does"),
    "P06": Entry(
        level="B",
        says="the first boot needs no network",
        tests=(f"{FIRST_BOOT}::test_it_is_whole_without_a_network_or_user_data",),
    ),
    "P07": Entry(level="B", says="container images are loaded already", reason=_NO_CONTAINERS),
    "P08": Entry(
        level="R",
        says="what is called outside is disclosed",
        reason="Only Debian's mirrors, for updates, and clocks: docs/images.md says so, and the first boot needs neither.",
    ),
    "P09": Entry(
        level="R",
        says="it works without user data",
        tests=(f"{FIRST_BOOT}::test_it_is_whole_without_a_network_or_user_data",),
    ),
    "B01": Entry(level="R", says="64 bit, HVM, on EBS", reason="`shed publish aws` registers nothing else."),
    "B02": Entry(level="P", says="drivers for every target"),
    "B03": Entry(level="P", says="a serial console"),
    "B04": Entry(level="B", says="NVMe waits for slow network disks"),
    "B05": Entry(level="P", says="partitions for BIOS and UEFI"),
    "B06": Entry(level="P", says="disks by label, data with nofail"),
    "B07": Entry(level="T", says="the root file system is grown"),
    "B08": Entry(level="T", says="the clocks of the clouds"),
    "B09": Entry(
        level="T",
        says="Google's guest agents",
        reason="cloud-init does their part, keys and disks; OS Login and Google's patch service are not offered.",
    ),
    "B10": Entry(level="T", says="no MTU of its own"),
    "B11": Entry(level="B", says="promised data sources only"),
    "B12": Entry(
        level="T",
        says="it boots in time",
        reason="Measured beside a bare image by bench/boot.py, as seconds under emulation are no seconds of a cloud.",
    ),
    "B13": Entry(
        level="T",
        says="it survives reboots",
        tests=(
            f"{PROOF}::test_after_a_reboot_it_is_still_there",
            f"{PROOF}::test_on_a_new_system_disk_by_uefi_data_and_configuration_are_still_there",
        ),
    ),
    "B14": Entry(level="B", says="it boots without a failure"),
    "B15": Entry(
        level="T", says="it boots with Secure Boot", tests=(f"{FORMATS}::test_the_archive_boots_as_on_a_cloud",)
    ),
    "B16": Entry(
        level="T",
        says="snapshots are consistent",
        reason="Needs no script: what was acknowledged is on the disk at every moment, as docs/soak.md shows.",
    ),
    "B17": Entry(level="R", says="at home in every region"),
    "H01": Entry(level="T", says="promised ports only"),
    "H02": Entry(
        level="B",
        says="a firewall that holds",
        tests=(f"{FIRST_BOOT}::test_nobody_reaches_what_is_not_promised",),
    ),
    "H03": Entry(level="T", says="kernel settings"),
    "H04": Entry(level="P", says="containers reach the network", reason=_NO_CONTAINERS),
    "H05": Entry(level="B", says="no loose or set-id files"),
    "H06": Entry(level="B", says="unused modules and services are off"),
    "H07": Entry(level="B", says="logs are capped"),
    "H08": Entry(
        level="B",
        says="no container reaches the metadata by chance",
        reason=f"{_NO_CONTAINERS} Who launches sets the hop limit.",
    ),
    "H09": Entry(
        level="B",
        says="TLS, by a key of the machine's own",
        tests=(f"{FIRST_BOOT}::test_tls_with_a_key_of_its_own_at_the_usual_ports",),
        reason="Off until `tls: own` is said, for clients of the three ports expect plain HTTP.",
    ),
    "W01": Entry(level="R", says="the same content in every region"),
    "W02": Entry(level="R", says="block mappings are not encrypted"),
    "W03": Entry(level="B", says="IMDSv2 alone"),
    "W04": Entry(level="B", says="ENA, SR-IOV, uefi-preferred, gp3"),
    "W05": Entry(level="B", says="a TPM only with UEFI"),
    "W06": Entry(level="B", says="shared with whom it was meant for"),
    "W07": Entry(level="B", says="a deprecation time"),
    "W08": Entry(level="B", says="tags that say what it is"),
    "W09": Entry(level="B", says="no snapshot without an image"),
    "W10": Entry(level="B", says="names and parameters lead to the image"),
    "W11": Entry(
        level="B",
        says="an encrypted launch boots",
        reason="Needs AWS. Every block is sent, zeros too, so there is none that would be read as noise.",
    ),
    "W12": Entry(level="R", says="limits of listings", reason=_MARKETPLACE),
    "G01": Entry(level="P", says="a tar with disk.raw alone, whole GiB"),
    "G02": Entry(level="T", says="features of the guest"),
    "G03": Entry(level="P", says="UEFI is stated"),
    "G04": Entry(level="B", says="architecture, family, labels, place"),
    "G05": Entry(level="B", says="one newest image in a family"),
    "G06": Entry(level="B", says="a job moves deprecation on"),
    "G07": Entry(level="R", says="readable by whom it was meant for"),
    "G08": Entry(level="R", says="ready for production", reason=_MARKETPLACE),
    "G09": Entry(
        level="B", says="no import tool that has ended", reason="`shed publish gcp` sends a tar and inserts it."
    ),
    "G10": Entry(
        level="T",
        says="it answers behind load balancers",
        tests=("server/tests/proxies/test_proxies.py::test_the_rules_of_an_image_that_are_asked_from_outside",),
        reason="Proved behind nginx and HAProxy. Google's health checks pass the firewall, which asks nobody where he comes from.",
    ),
    "G11": Entry(level="T", says="OS Login and startup scripts", reason="As B09: neither is offered."),
    "D01": Entry(level="B", says="only a blank disk is formatted"),
    "D02": Entry(level="B", says="never on the root disk"),
    "D03": Entry(level="B", says="the volume is grown while in use"),
    "D04": Entry(level="B", says="an upgrade refuses what cannot go well", reason=_NO_UPGRADE),
    "D05": Entry(level="B", says="a cut upgrade goes on or back", reason=_NO_UPGRADE),
    "D06": Entry(level="B", says="going back removes nothing", reason=_NO_UPGRADE),
    "D07": Entry(
        level="B",
        says="a backup restores on a fresh machine",
        tests=(
            f"{BACKUP}::test_there_and_back",
            f"{BACKUP}::test_a_piece_that_was_altered",
            f"{BACKUP}::test_a_list_that_was_cut_or_is_of_a_later_release",
        ),
    ),
}


CLOUDS = {
    "W": "aws",
    "G": "gcp",
}  # first letter of an id -> whose rules; what has no reason is asked by `shed validate`


def asked(rule_id: str) -> tuple[str, ...]:
    """The commands that ask it. A row of the registries may have a letter after the id, for a part of the rule."""
    where = {place for row_id, row in RULES.items() if row_id[:3] == rule_id for place in row.where}
    commands = [command for place, command in (("F", "shed bake"), ("Q", "shed check vm, ssh")) if place in where]
    if any(row_id[:3] == rule_id for row_id in OUTSIDE):
        commands.append("shed check url")
    if rule_id[0] in CLOUDS and not CATALOGUE[rule_id].reason:
        commands.append(f"shed validate {CLOUDS[rule_id[0]]}")
    return tuple(commands)
