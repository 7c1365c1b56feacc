"""Channels across processes and machines: a stream of Redis is the log, a message the wake-up."""

try:
    import redis  # noqa: F401
except ImportError as error:
    raise ImportError(
        "channels on Redis need redis-py: pip install 'streamkit-http[redis]', "
        "or redis[hiredis] by itself"
    ) from error
