"""Uses `speakr serve` by OpenAI's own client. Prints what it got as JSON."""

import json
import sys

import openai

url, token, clip = sys.argv[1:4]
client = openai.OpenAI(base_url=url + "/v1", api_key=token, max_retries=0)
create = client.audio.transcriptions.create
got = {}


def ask(**options):
    with open(clip, "rb") as file:
        return create(model="whisper-1", file=file, **options)


got["json"] = ask().text
got["text"] = ask(response_format="text")
got["srt"] = ask(response_format="srt")
got["vtt"] = ask(response_format="vtt")
verbose = ask(response_format="verbose_json", timestamp_granularities=["segment", "word"])
got["verbose"] = {
    "text": verbose.text,
    "duration": verbose.duration,
    "language": verbose.language,
    "segments": [[s.id, s.start, s.end, s.text] for s in verbose.segments],
    "words": [[w.word, w.start, w.end] for w in verbose.words],
}
stream = ask(stream=True)
events = list(stream)
got["deltas"] = "".join(e.delta for e in events if e.type == "transcript.text.delta")
got["done"] = next(e.text for e in events if e.type == "transcript.text.done")
errors = {}
for name, key, model in [("key", "wrong", "whisper-1"), ("model", token, "no-such-model")]:
    other = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0)
    try:
        with open(clip, "rb") as file:
            other.audio.transcriptions.create(model=model, file=file)
    except openai.APIStatusError as error:
        errors[name] = [type(error).__name__, error.status_code, error.body["message"], error.code]
got["errors"] = errors
print(json.dumps(got))
