"""A worker with nothing of its own: `python3 -m snakepit_worker --conformance` is the SDK, ready to be checked."""

from .worker import Worker

Worker().run()
