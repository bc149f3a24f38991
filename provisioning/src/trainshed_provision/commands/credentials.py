"""Make an access key on a running machine and print the configuration a clearml client needs: save it as ~/clearml.conf."""

import argparse
import json

from trainshed_provision import ssh
from trainshed_provision.errors import Exit
from trainshed_provision.spec import VmSpec
from trainshed_provision.targets import vm
from trainshed_provision.targets.vm.engine import Local
from trainshed_provision.targets.vm.folder import Folder, state_root

HELP = "make an access key on a machine and print the client's configuration"
CREATE = ("sudo", "trainshed", "credentials", "create", "--json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed credentials`."""
    parser.add_argument("target", choices=["vm"], help="vm: a virtual machine on this host")
    parser.add_argument("--name", default=VmSpec().name, help="of the machine (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the CLEARML_* variables as one JSON object")


def credentials(options: argparse.Namespace) -> Exit:
    """Make a key and print it; the secret is shown this once."""
    folder = Folder(state_root(), options.name)
    spec = vm.running(folder, engine=Local())
    made = json.loads(ssh.run(folder.login(spec), CREATE))
    key, secret = made["access_key"], made["secret_key"]
    print(_variables(spec, key, secret) if options.json else _configuration(spec, key, secret))
    return Exit.OK


def _variables(spec: VmSpec, key: str, secret: str) -> str:
    hosts = {f"CLEARML_{name.upper()}_HOST": url for name, url in spec.urls().items()}
    return json.dumps({**hosts, "CLEARML_API_ACCESS_KEY": key, "CLEARML_API_SECRET_KEY": secret}, indent=2)


def _configuration(spec: VmSpec, key: str, secret: str) -> str:
    urls = spec.urls()
    return f"""\
# for the clearml client, made by `shed credentials`: save as ~/clearml.conf
api {{
    web_server: {urls["web"]}
    api_server: {urls["api"]}
    files_server: {urls["files"]}
    credentials {{
        "access_key" = "{key}"
        "secret_key" = "{secret}"
    }}
}}"""
