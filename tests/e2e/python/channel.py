"""An open channel of the unmodified Python TCF client, and how to wait on it."""

import collections
import collections.abc
import queue
import sys

# The client was written for Python before 3.10, which still had this name.
collections.Callable = collections.abc.Callable

import tcf  # noqa: E402
from tcf import channel, protocol  # noqa: E402
from tcf.services import streams  # noqa: E402

PATIENCE = 60


class Closed(channel.ChannelListener):
    """Notes why the channel closed."""

    def __init__(self):
        self.reasons = queue.Queue()

    def onChannelClosed(self, error):
        self.reasons.put(error)


class Connection:
    """A channel to the broker; every call waits for its answer."""

    def __init__(self, address):
        protocol.startEventQueue()
        self.channel = tcf.connect("TCP:" + address)
        self.closed = Closed()
        protocol.invokeAndWait(self.channel.addChannelListener, self.closed)
        self.streams = protocol.invokeAndWait(self.channel.getRemoteService, streams.NAME)
        assert self.streams is not None, "the broker has no Streams service"

    def call(self, method, *args):
        """Runs a command of Streams and gives the arguments of its callback behind the token."""
        answer = queue.Queue()

        def done(token, *results):
            answer.put(results)

        protocol.invokeLater(method, *args, done)
        results = answer.get(timeout=PATIENCE)
        if results[0] is not None:
            raise results[0]
        return results[1:]

    def start(self, sink, method, *args):
        """Runs a command of Streams; its callback's arguments go to the queue `sink`."""

        def done(token, *results):
            sink.put(results)

        protocol.invokeLater(method, *args, done)

    def close(self):
        """Closes in order, and fails where the client found fault with the broker."""
        protocol.invokeAndWait(self.channel.close)
        reason = self.closed.reasons.get(timeout=PATIENCE)
        assert reason is None, "the channel closed with %r" % (reason,)
        assert self.closed.reasons.empty()


def say(text):
    """Tells the test something. In one write, since others may write to the same terminal."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def arguments():
    """What the test gave."""
    return sys.argv[1:]
