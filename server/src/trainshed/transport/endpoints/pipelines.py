"""pipelines.*"""

from typing import Any

from trainshed.transport.call import Call
from trainshed.transport.endpoints.batches import each
from trainshed.transport.wire import pipelines as wire

Reply = dict[str, Any]


def start_pipeline(call: Call, request: wire.StartPipeline) -> Reply:
    arguments = {argument.name: argument.value for argument in request.args or ()}
    run, queue = call.services.pipelines.start(call.identity, request.task, queue=request.queue, arguments=arguments)
    reply: Reply = {"pipeline": run, "enqueued": True}
    if request.verify_watched_queue:
        reply["queue_watched"] = call.services.task_queueing.is_watched(call.identity, queue)
    return reply


def delete_runs(call: Call, request: wire.DeleteRuns) -> Reply:
    pipelines = call.services.pipelines
    pipelines.check_some_run_stays(call.identity, request.project, request.ids)
    return each(request.ids, lambda run: pipelines.delete_run(call.identity, request.project, run))
