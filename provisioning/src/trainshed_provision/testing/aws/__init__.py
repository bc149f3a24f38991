"""A stand-in for the parts of AWS that publishing uses: moto's server on loopback, made as strict as AWS where moto is not.

    with stand_in() as aws:
        aws.fail("PutSnapshotBlock", "RequestThrottledException", times=3)
        ...

`serve` makes it listen; `ebs` and `images` hold what moto lacks; `faults` breaks calls on purpose.
"""

from trainshed_provision.testing.aws.server import ACCOUNT, StandIn, apart, environment, stand_in

__all__ = ["ACCOUNT", "StandIn", "apart", "environment", "stand_in"]
