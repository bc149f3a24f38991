"""Makes the stand-in listen, in a thread of this process."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # read at import: thousands of images that are not ours

from moto.autoscaling.models import autoscaling_backends
from moto.core.responses import ActionResult, BaseResponse
from moto.ebs.models import ebs_backends
from moto.ec2.models import ec2_backends
from moto.moto_server.werkzeug_app import MotoRequestHandler
from moto.server import ThreadedMotoServer
from moto.ssm.models import ssm_backends

from trainshed_provision.testing.aws import ebs, images
from trainshed_provision.testing.aws.faults import Call, Faults, Refusal

ACCOUNT = "123456789012"  # of moto

_call_action = BaseResponse.call_action


class StandIn(Faults):
    """The running stand-in. url: for AWS_ENDPOINT_URL."""

    url = ""

    def reset(self) -> None:
        """An account with nothing in it, and no faults."""
        for backends in (ec2_backends, ebs_backends, ssm_backends, autoscaling_backends):
            backends.reset()
        self.clear()

    def ec2(self, region: str) -> Any:
        """What moto keeps for EC2 in this region, to look at and to change behind everybody's back."""
        return ec2_backends[ACCOUNT][region]

    def call_action(self, response: BaseResponse) -> Any:
        """Carry out one call as moto does, unless a fault is due."""
        call = Call(response.service_name or "", response._get_action(), response.region)
        try:
            self.arrive(call)
        except Refusal as error:
            status, headers, body = response.serialized(ActionResult(error))
            return status, {**headers, "status": str(status)}, body
        answer = _call_action(response)
        self.leave(call)
        return answer


@contextmanager
def stand_in(port: int = 0) -> Iterator[StandIn]:
    """Serve until the block ends. moto's state is of the process: one stand-in at a time."""
    aws = StandIn()
    for owner, override in (*ebs.OVERRIDES, *images.OVERRIDES):
        setattr(owner, override.__name__, override)
    setattr(MotoRequestHandler, "connection_dropped", _close)  # noqa: B010 - a method for mypy
    for owner, override in images.PROPERTIES:
        setattr(owner, override.__name__, property(override))
    setattr(BaseResponse, "call_action", lambda response: aws.call_action(response))  # noqa: B010 - a method for mypy
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each call
    aws.reset()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    aws.url = "http://{}:{}".format(*server.get_host_and_port())
    try:
        yield aws
    finally:
        server.stop()
        setattr(BaseResponse, "call_action", _call_action)  # noqa: B010


PROCESS = """
import sys
from trainshed_provision.testing.aws import stand_in
with stand_in() as aws:
    print(aws.url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def apart() -> Iterator[str]:
    """Serve from a process of its own, for what is measured or large; its url."""
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _close(handler: Any, error: BaseException, environ: Any = None) -> None:
    """Hang up; werkzeug would keep the line open and say nothing."""
    handler.close_connection = True


def environment(url: str, *, home: Path) -> dict[str, str]:
    """Variables that lead boto3 to the stand-in and away from everything of the person who runs the test."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(home / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "none"),
    }
