"""A worker of Celery's, whose tasks publish."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_ready

from streamkit import Channel

app = Celery("jobs", broker=os.environ["BROKER"])
app.conf.broker_connection_retry_on_startup = True


@worker_ready.connect  # type: ignore[untyped-decorator]
def _ready(**_: Any) -> None:
    """In the worker's first process, beside the forks."""
    Channel("jobs").publish("ready")


# And before them: what they inherit has been connected.
Channel("jobs").publish("started")


@app.task  # type: ignore[untyped-decorator]
def finish(number: int) -> None:
    Channel("jobs").publish({"number": number, "process": os.getpid()})
