"""Records over the bus as docs/CONTRACT.md says it: start, sound, stop, text. Prints what it heard."""

import asyncio
import hashlib
import json
import sys
import uuid
import wave

import nats

URL, USER, PASSWORD, CLIP = sys.argv[1:5]
RECORDINGS = uuid.UUID("8c6f1d0e-52a7-5b0d-9a3e-4b1f70c2d6a5")
CHUNK_SAMPLES = 1600


async def main():
    correlation = uuid.uuid4()
    # uuid.uuid5 takes text alone: the version 5 of 16 bytes is made by hand.
    digest = hashlib.sha1(RECORDINGS.bytes + correlation.bytes).digest()
    recording = str(uuid.UUID(bytes=digest[:16], version=5))
    headers = {"Speakr-Correlation-Id": str(correlation)}
    order, done = [], asyncio.get_running_loop().create_future()

    async def on_event(message):
        event = json.loads(message.data)
        if event["recording_id"] != recording:
            return
        assert message.headers["Speakr-Correlation-Id"] == str(correlation)
        kind = message.subject.removeprefix("speakr.event.")
        order.append(kind)
        if kind in ("transcription.succeeded", "transcription.failed"):
            done.set_result(event)

    bus = await nats.connect(
        URL, user=USER, password=PASSWORD, inbox_prefix=f"_INBOX_{USER}".encode()
    )
    stream = bus.jetstream()
    await bus.subscribe("speakr.event.>", cb=on_event)

    async def command(name, **payload):
        own = {**headers, "Nats-Msg-Id": f"{correlation}:{name}"}
        data = json.dumps(payload).encode()
        await stream.publish(f"speakr.command.{name}", data, headers=own)

    await command("recording.start", tags=["from-python"])
    with wave.open(CLIP) as clip:
        number = 0
        while pcm := clip.readframes(CHUNK_SAMPLES):
            own = {**headers, "Speakr-Chunk": str(number), "Nats-Msg-Id": f"{recording}:{number}"}
            await stream.publish(f"speakr.audio.{recording}", pcm, headers=own)
            number += 1
            await asyncio.sleep(0.02)
    end = {**headers, "Speakr-End": str(number), "Nats-Msg-Id": f"{recording}:end:{number}"}
    await stream.publish(f"speakr.audio.{recording}", b"", headers=end)
    await command("recording.stop", recording_id=recording, transcribe_on_stop=True)
    succeeded = await asyncio.wait_for(done, 120)
    await bus.close()
    print(json.dumps({"recording_id": recording, "order": order, "succeeded": succeeded}))


asyncio.run(main())
