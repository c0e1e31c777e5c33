//! Speech in, text out, found by meaning, exported, heard, labelled, deleted.

use reqwest::{Method, header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Context,
    api::{Api, SPEECH},
    bus,
    check::{Group, Runner, Seen, ensure, failed},
};

/// A word of the speech.
const WORD: &str = "country";

pub(super) async fn run(context: &Context, runner: &Runner<'_>) {
    let api = &context.api;
    let stored = runner
        .check("text", "speech that is sent becomes text", async {
            let stored = context.stored().await?;
            let text = stored.told["text"].as_str().unwrap_or_default();
            is_the_speech(text)?;
            Ok(format!("\"{}\"", text.trim()))
        })
        .await;
    let ended = "the speech did not become text, so there is nothing to look at";
    let rest = [
        (
            "found",
            "it is found by its meaning, with the moment in the sound",
        ),
        ("export", "it is exported as txt, srt, vtt and json"),
        ("sound", "its sound is heard, as a whole and in ranges"),
        ("tags", "it is labelled anew, and found by its new label"),
        (
            "delete",
            "deleted, it is gone from list, search, text and sound",
        ),
    ];
    if stored {
        let id = match context.stored().await {
            Ok(stored) => stored.id,
            Err(_) => return,
        };
        runner.check(rest[0].0, rest[0].1, found(api, id)).await;
        runner.check(rest[1].0, rest[1].1, exported(api, id)).await;
        runner.check(rest[2].0, rest[2].1, heard(api, id)).await;
        runner.check(rest[3].0, rest[3].1, labelled(api, id)).await;
        runner.check(rest[4].0, rest[4].1, deleted(api)).await;
    } else {
        for (name, title) in rest {
            runner.skip(name, title, ended).await;
        }
    }
    runner
        .check("silence", "no text is made from silence", async {
            api.need_token()?;
            let silence = silent();
            let correlation_id = Uuid::new_v4();
            let answer = api.transcribe(correlation_id, &silence, &[]).await?;
            let told = answer.expect(200)?.json()?;
            ensure(told["text"] == "", || format!("it says {told}"))?;
            Ok("two seconds of silence have no text".to_owned())
        })
        .await;
    runner
        .check(
            "bus",
            "speech over the bus becomes text while it is spoken",
            async {
                let spoken = context.spoken().await?;
                let told = spoken.on("speakr.event.transcription.succeeded").next();
                let told = told
                    .ok_or_else(|| failed("nothing told of its text"))?
                    .json();
                is_the_speech(told["transcribed_text"].as_str().unwrap_or_default())?;
                if api.need_token().is_ok() {
                    let found = api
                        .get(&format!("/api/v1/recordings/{}", spoken.id))
                        .await?;
                    let found = found.json()?;
                    is_the_speech(found["transcribed_text"].as_str().unwrap_or_default())?;
                }
                Ok(format!(
                    "the text came {} ms after the stop",
                    spoken.waited_for_text.as_millis()
                ))
            },
        )
        .await;
    runner
        .check(
            "cancel",
            "a recording that is cancelled leaves nothing",
            async {
                // Without one it couldn't be deleted, should the cancellation fail.
                api.need_token()?;
                let id = bus::cancel(&context.settings, &api.own).await?;
                let path = format!("/api/v1/recordings/{id}");
                let status = api.send(api.request(Method::GET, &path)).await?.status;
                ensure(matches!(status, 404 | 410), || {
                    format!("recording {id} was cancelled, and is answered with {status}")
                })?;
                Ok(format!("cancelled; GET gives {status}"))
            },
        )
        .await;
}

fn is_the_speech(text: &str) -> Seen<()> {
    ensure(text.to_lowercase().contains(WORD), || {
        format!("the text isn't what was said (\"{WORD}\" is missing): \"{text}\"")
    })
}

/// Two seconds of nothing, as a WAV file.
fn silent() -> Vec<u8> {
    let samples = 2 * crate::wav::RATE;
    let mut file = SPEECH[..44].to_vec();
    file[4..8].copy_from_slice(&(36 + samples * 2).to_le_bytes());
    file[36..40].copy_from_slice(b"data");
    file[40..44].copy_from_slice(&(samples * 2).to_le_bytes());
    file.resize(44 + samples as usize * 2, 0);
    file
}

async fn found(api: &Api, id: Uuid) -> Seen {
    let is_there = |answer: &Value| {
        let results = answer["results"].as_array();
        results.is_some_and(|all| all.iter().any(|r| r["recording_id"] == id.to_string()))
    };
    let found = api
        .query_until(&Api::meaning(&api.own.tag), is_there)
        .await?;
    let result = &found["results"][0];
    let similarity = result["similarity"].as_f64().unwrap_or_default();
    ensure(similarity > 0.2, || {
        format!("its similarity is {similarity}: {result}")
    })?;
    let passage = &result["passages"][0];
    let (start, end) = (passage["start_ms"].as_u64(), passage["end_ms"].as_u64());
    let within = start.zip(end).is_some_and(|(s, e)| s < e && e <= 12_000);
    ensure(within, || format!("no passage with its moment: {result}"))?;
    let by_word = json!({"query_text": WORD, "filter_tags": [api.own.tag], "mode": "keyword"});
    let by_word = api.query_until(&by_word, is_there).await?;
    ensure(by_word["results"][0]["similarity"].is_null(), || {
        format!("keyword search has a similarity: {by_word}")
    })?;
    // Another label finds nothing of it.
    let other = json!({"query_text": WORD, "filter_tags": [format!("{}-other", api.own.tag)]});
    let none = api.query(&other).await?;
    ensure(none["count"] == 0, || {
        format!("a label that nothing has finds {none}")
    })?;
    Ok(format!(
        "similarity {similarity:.2}, at {} to {} ms; by its words, too",
        start.unwrap_or_default(),
        end.unwrap_or_default()
    ))
}

async fn exported(api: &Api, id: Uuid) -> Seen {
    let get = |format: &str| format!("/api/v1/recordings/{id}/export?format={format}");
    is_the_speech(&api.get(&get("txt")).await?.text())?;
    let srt = api.get(&get("srt")).await?.text();
    ensure(
        srt.starts_with("1\n00:00:0") && srt.contains(" --> "),
        || format!("no subtitles (srt): {srt}"),
    )?;
    let vtt = api.get(&get("vtt")).await?.text();
    ensure(vtt.starts_with("WEBVTT"), || {
        format!("no subtitles (vtt): {vtt}")
    })?;
    let told = api.get(&get("json")).await?.json()?;
    ensure(
        told["segments"].as_array().is_some_and(|s| !s.is_empty()),
        || format!("no segments: {told}"),
    )?;
    Ok("txt, srt, vtt, json".to_owned())
}

async fn heard(api: &Api, id: Uuid) -> Seen {
    let path = format!("/api/v1/recordings/{id}/sound");
    let whole = api.get(&path).await?;
    ensure(whole.body.starts_with(b"RIFF"), || {
        "the sound is no WAV file".to_owned()
    })?;
    let length = whole.body.len();
    let part = |range: String| {
        let request = api.request(Method::GET, &path).header(header::RANGE, range);
        api.send(request)
    };
    let first = part("bytes=0-3".to_owned()).await?.expect(206)?;
    ensure(first.body == b"RIFF", || {
        format!("bytes 0 to 3 are {:?}", first.body)
    })?;
    let told = first.header("content-range").to_owned();
    ensure(told == format!("bytes 0-3/{length}"), || {
        format!("Content-Range is \"{told}\", of {length} bytes")
    })?;
    let last = part("bytes=-100".to_owned()).await?.expect(206)?;
    ensure(
        whole.body.ends_with(&last.body) && last.body.len() == 100,
        || format!("the last 100 bytes are {} others", last.body.len()),
    )?;
    part(format!("bytes={length}-")).await?.expect(416)?;
    Ok(format!(
        "{length} bytes; 206 for its parts, 416 beyond its end"
    ))
}

async fn labelled(api: &Api, id: Uuid) -> Seen {
    let label = format!("{}-anew'; --", api.own.tag);
    let request = api
        .request(Method::PATCH, &format!("/api/v1/recordings/{id}/tags"))
        .json(&json!({"add": [label]}));
    api.send(request).await?.expect(200)?;
    let query = json!({"query_text": WORD, "filter_tags": [label]});
    api.query_until(&query, |answer| answer["count"] == 1)
        .await?;
    let list = api
        .get(&format!("/api/v1/recordings?limit=5&tags={}", api.own.tag))
        .await?
        .json()?;
    let shown = list["recordings"].to_string();
    ensure(shown.contains(&id.to_string()), || {
        format!("it isn't listed by its tag: {list}")
    })?;
    Ok("found by the new label, listed by the old".to_owned())
}

async fn deleted(api: &Api) -> Seen {
    // Another one: other groups still look at the first.
    let (id, _) = api.store(Uuid::new_v4()).await?;
    let tag = format!("{}-to-go", api.own.tag);
    let request = api
        .request(Method::PATCH, &format!("/api/v1/recordings/{id}/tags"))
        .json(&json!({"add": [tag]}));
    api.send(request).await?.expect(200)?;
    api.query_until(&Api::meaning(&tag), |answer| answer["count"] == 1)
        .await?;
    let status = api.delete(id).await?;
    ensure(status == 204, || {
        format!("DELETE was answered with {status}")
    })?;
    api.own.is_gone(id);
    api.query_until(&Api::meaning(&tag), |answer| answer["count"] == 0)
        .await?;
    for path in ["", "/sound", "/export?format=txt"] {
        let path = format!("/api/v1/recordings/{id}{path}");
        let status = api.send(api.request(Method::GET, &path)).await?.status;
        ensure(matches!(status, 404 | 410), || {
            format!("it was deleted, and {path} is answered with {status}")
        })?;
    }
    let list = api
        .get(&format!("/api/v1/recordings?tags={tag}"))
        .await?
        .json()?;
    ensure(list["count"] == 0, || {
        format!("it was deleted, and is listed: {list}")
    })?;
    Ok("204, then nothing of it".to_owned())
}

/// What is said of everything that this validation made: it is gone.
pub(super) async fn clean(context: &Context, runner: &Runner<'_>) {
    if !context.api.owes() {
        return;
    }
    runner
        .check(
            "clean",
            "everything that this validation made is deleted",
            async {
                let deleted = context.api.clean().await?;
                Ok(format!(
                    "{deleted} recordings deleted; none has its tag any more"
                ))
            },
        )
        .await;
}

/// The group that all of this belongs to.
pub(super) const GROUP: Group = Group::System;
