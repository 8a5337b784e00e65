"""write_stream.py ADDRESS STREAM FILE

Connects to a stream, writes FILE into it with several writes under way, and ends it.
"""

import queue

from channel import PATIENCE, Connection, arguments, say

WRITES = 16
# Of all sizes around those at which the client changes its framing.
SIZES = [1, 31, 32, 33, 100, 1000, 20000]


def main():
    address, stream_id, path = arguments()
    with open(path, "rb") as file:
        data = bytearray(file.read())
    connection = Connection(address)
    connection.call(connection.streams.connect, stream_id)
    replies = queue.Queue()
    pending = 0
    offset = 0
    index = 0
    while offset < len(data) or pending:
        if offset < len(data) and pending < WRITES:
            size = min(SIZES[index % len(SIZES)], len(data) - offset)
            connection.start(
                replies, connection.streams.write, stream_id, data, offset, size)
            offset += size
            index += 1
            pending += 1
            continue
        (error,) = replies.get(timeout=PATIENCE)
        assert error is None, error
        pending -= 1
    connection.call(connection.streams.eos, stream_id)
    connection.call(connection.streams.disconnect, stream_id)
    connection.close()
    say("wrote %d" % len(data))


main()
