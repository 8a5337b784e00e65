"""read_stream.py ADDRESS TYPE FILE

Subscribes to a type of streams, waits for one to be created, reads it to its end with several reads
under way, and writes what came to FILE.
"""

import queue

from channel import PATIENCE, Connection, arguments, say, streams

READS = 8
READ_BYTES = 65536


class Listener(streams.StreamsListener):
    """Queues the events."""

    def __init__(self):
        self.created_events = queue.Queue()
        self.disposed_events = queue.Queue()

    def created(self, stream_type, stream_id, context_id):
        self.created_events.put((stream_type, stream_id, context_id))

    def disposed(self, stream_type, stream_id):
        self.disposed_events.put((stream_type, stream_id))


def read_to_end(connection, stream_id):
    """All bytes of a stream."""
    replies = queue.Queue()

    def start():
        connection.start(replies, connection.streams.read, stream_id, READ_BYTES)

    data = bytearray()
    for _ in range(READS):
        start()
    pending = READS
    ended = False
    while pending:
        error, lost_size, piece, eos = replies.get(timeout=PATIENCE)
        pending -= 1
        assert error is None, error
        assert lost_size == 0, "%d bytes lost" % lost_size
        if piece:
            assert not ended, "bytes behind the end of the stream"
            data += piece
        ended = ended or eos
        if not ended:
            start()
            pending += 1
    return bytes(data)


def main():
    address, stream_type, path = arguments()
    connection = Connection(address)
    listener = Listener()
    connection.call(connection.streams.subscribe, stream_type, listener)
    say("subscribed")
    created_type, stream_id, context_id = listener.created_events.get(timeout=PATIENCE)
    assert created_type == stream_type, created_type
    say("created %s %s" % (stream_id, context_id))
    data = read_to_end(connection, stream_id)
    connection.call(connection.streams.disconnect, stream_id)
    assert listener.disposed_events.get(timeout=PATIENCE) == (stream_type, stream_id)
    connection.call(connection.streams.unsubscribe, stream_type, listener)
    with open(path, "wb") as file:
        file.write(data)
    assert listener.created_events.empty() and listener.disposed_events.empty()
    connection.close()
    say("read %d" % len(data))


main()
