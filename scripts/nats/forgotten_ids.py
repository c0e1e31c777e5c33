#!/usr/bin/env python3
"""Whether a nats-server that is killed still knows which messages it has.

A stream with a duplicate window of a day is written to, the server is killed in the middle and started again, and
the last messages are sent once more under their ids. Whatever isn't answered as a duplicate was forgotten. With
"--delete", messages are deleted meanwhile, now and then the last one: deleted, it lies there without its time, and a
server that is killed then takes all of the stream for older than the window. With "--after-another" too, another
message is stored before each deletion, so that it is never the last one that is deleted; so does a recording's
deletion. Needs Python's nats-py:

    "$(scripts/tools.sh natspy)/python" scripts/nats/forgotten_ids.py "$(scripts/tools.sh nats)/nats-server" --delete
"""

import argparse
import asyncio
import os
import pathlib
import random
import socket
import subprocess
import tempfile

import nats
from nats.js.api import StreamConfig
from nats.js.errors import Error as StreamError

DAY_S = 24 * 3600
# How many of the last messages are sent again after each kill.
LAST = 40
# How much of a second the server lives between two kills, at least and at most.
LIFE_S = (0.2, 1.2)
# What a client may meet when its server dies.
AWAY = (nats.errors.Error, StreamError, OSError, asyncio.TimeoutError)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    def __init__(self, program: str, folder: pathlib.Path):
        self.port = free_port()
        self.config = folder / "nats.conf"
        self.config.write_text(
            f'host: 127.0.0.1\nport: {self.port}\n'
            f'jetstream {{ store_dir: "{folder}/data", sync_interval: always }}\n'
        )
        self.command = [program, "-c", str(self.config), "-l", str(folder / "log")]
        self.process = None

    async def start(self):
        self.process = subprocess.Popen(self.command)
        while self.process.poll() is None:
            try:
                client = await nats.connect(
                    f"nats://127.0.0.1:{self.port}", allow_reconnect=False, connect_timeout=1, error_cb=quiet
                )
                await client.jetstream().account_info()
                return client
            except AWAY:
                await asyncio.sleep(0.1)
        raise SystemExit(f"{self.command[0]} ended at once")

    def kill(self):
        """Kills it, if it lives."""
        if self.process:
            self.process.kill()
            self.process.wait()


async def quiet(_error):
    """What is said when the server dies is expected."""


async def write_until_killed(stream, kept: dict, count: int, arguments, chance: random.Random) -> int:
    """Stores messages until the server is gone; `kept` has the sequence of each that is still there."""
    try:
        while True:
            count += 1
            name = f"message-{count}"
            sent = await stream.publish(
                f"e.{chance.randrange(5)}",
                os.urandom(chance.randrange(50, 900)),
                headers={"Nats-Msg-Id": name},
                timeout=2,
            )
            kept[name] = sent.seq
            if arguments.delete and len(kept) > 5 and chance.random() < 0.3:
                if arguments.after_another:
                    await stream.publish("e.deleted", b"", timeout=2)
                await stream.delete_msg("E", kept.pop(chance.choice(list(kept)[-30:])))
    except AWAY:
        return count


async def send_again(stream, kept: dict) -> int:
    """Sends the last of `kept` once more; how many of them were stored a second time."""
    forgotten = 0
    for name in list(kept)[-LAST:]:
        sent = await stream.publish("e.0", b"again", headers={"Nats-Msg-Id": name}, timeout=5)
        if not sent.duplicate:
            forgotten += 1
            kept[name] = sent.seq
    return forgotten


async def main(arguments):
    chance = random.Random(arguments.seed)
    forgetful = 0
    with tempfile.TemporaryDirectory() as folder:
        server = Server(arguments.server, pathlib.Path(folder))
        try:
            client = await server.start()
            await client.jetstream().add_stream(
                StreamConfig(name="E", subjects=["e.>"], duplicate_window=DAY_S, max_age=7 * DAY_S)
            )
            kept: dict[str, int] = {}
            count = 0
            for kill in range(1, arguments.kills + 1):
                end = asyncio.get_running_loop().call_later(chance.uniform(*LIFE_S), server.kill)
                count = await write_until_killed(client.jetstream(), kept, count, arguments, chance)
                # Something else may have ended it, and the next server isn't to be killed in its place.
                end.cancel()
                server.kill()
                await client.close()
                client = await server.start()
                forgotten = await send_again(client.jetstream(), kept)
                if forgotten:
                    forgetful += 1
                    print(f"after kill {kill}: {forgotten} of the last {LAST} ids were forgotten", flush=True)
        finally:
            server.kill()
    print(f"seed {arguments.seed}: {count} messages; after {forgetful} of {arguments.kills} kills ids were forgotten")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", help="the program nats-server")
    parser.add_argument("--kills", type=int, default=120)
    parser.add_argument("--delete", action="store_true", help="messages are deleted meanwhile")
    parser.add_argument("--after-another", action="store_true", help="another message is stored before each deletion")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    asyncio.run(main(parser.parse_args()))
