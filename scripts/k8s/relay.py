#!/usr/bin/env python3
"""Hands on what comes to a port of this machine to a server, until it is ended: a server that can be out of reach.

relay.py PORT SERVER PORT
"""

import asyncio
import sys


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main():
    port, server, server_port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])

    async def serve(reader, writer):
        try:
            there_reader, there_writer = await asyncio.open_connection(server, server_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", port) as listening:
        await listening.serve_forever()


asyncio.run(main())
