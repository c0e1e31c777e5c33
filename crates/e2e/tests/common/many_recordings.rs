//! Recordings that nobody spoke, put into the store of a platform as if they had been.

use serde_json::{Value, json};
use speakr_e2e::platform::Platform;
use speakr_testkit::s3::S3;
use uuid::Uuid;

use super::store;

pub const WHO: [&str; 10] = [
    "gardener",
    "surgeon",
    "conductor of the orchestra",
    "lighthouse keeper",
    "tax inspector",
    "glacier guide",
    "baker",
    "archaeologist",
    "violin maker",
    "train driver",
];
pub const WHAT: [&str; 10] = [
    "pruned the apple trees before the frost",
    "explained the operation to the family",
    "rehearsed the slow movement once more",
    "repaired the broken lamp in the storm",
    "asked for the receipts of last year",
    "measured how far the ice had melted",
    "kneaded the dough for the morning bread",
    "uncovered a bronze age burial",
    "varnished the maple back of the instrument",
    "waited at the red signal outside the tunnel",
];

/// What is said in recording `number`: some passages of it, in which no other recording's sentences are.
fn sentences(number: usize) -> Vec<String> {
    let (first, second) = (number % WHO.len(), number / WHO.len());
    (0..30)
        .map(|at| {
            let who = WHO[(first + at / 10) % WHO.len()];
            let what = WHAT[(first + second + at) % WHAT.len()];
            format!("On day {at} of journey {number} the {who} {what}.")
        })
        .collect()
}

pub fn queries() -> Vec<String> {
    (0..20)
        .map(|at| format!("the {} {}", WHO[at % 10], WHAT[(at * 3 + at / 10) % 10]))
        .collect()
}

/// Puts `recordings` of two minutes into the store, made after `spoken`, whose objects they are like: its text is
/// replaced, and the rest (its sound) is the same.
pub async fn fill(platform: &Platform, spoken: &str, recordings: usize) {
    let client = store::client(&platform.s3);
    let folder = format!("recordings/{spoken}/");
    let mut like: Vec<(String, Vec<u8>)> = store::versions(&platform.s3, &folder)
        .await
        .into_iter()
        .map(|(key, body)| (key.strip_prefix(&folder).unwrap().to_owned(), body))
        .collect();
    // Of several versions the newest, which comes first.
    like.dedup_by(|later, earlier| later.0 == earlier.0);
    for number in 0..recordings {
        let id = Uuid::from_u128(0x5eed_0000_0000_4000_8000_0000_0000_0000 + number as u128);
        let minute = number % 60;
        let hour = number / 60;
        let at = format!(
            "2026-{:02}-{:02}T{:02}:{minute:02}:00Z",
            1 + hour / 24 / 28,
            1 + hour / 24 % 28,
            hour % 24
        );
        for (name, like) in &like {
            let body = match name.as_str() {
                "recording.json" | "transcript.json" => {
                    let mut object: Value = serde_json::from_slice(like).unwrap();
                    object["recording_id"] = json!(id);
                    object["created_at"] = json!(at);
                    if name == "recording.json" {
                        object["correlation_id"] = json!(id);
                    } else {
                        say(&mut object, &sentences(number));
                    }
                    object.to_string().into_bytes()
                }
                _ => like.clone(),
            };
            client
                .put_object()
                .bucket(S3::BUCKET)
                .key(format!("recordings/{id}/{name}"))
                .body(body.into())
                .send()
                .await
                .unwrap();
        }
    }
}

/// Makes `sentences` the text of a transcript, a segment each.
fn say(transcript: &mut Value, sentences: &[String]) {
    let like = transcript["segments"][0].clone();
    let segments: Vec<_> = sentences
        .iter()
        .enumerate()
        .map(|(at, text)| {
            let mut segment = like.clone();
            segment["start_ms"] = json!(at * 4_000);
            segment["end_ms"] = json!(at * 4_000 + 3_900);
            segment["text"] = json!(text);
            segment
        })
        .collect();
    transcript["text"] = json!(sentences.join(" "));
    transcript["segments"] = json!(segments);
}

/// Makes the index anew, and gives how many recordings there are and how many were there as they are.
pub fn rebuild(platform: &Platform) -> (usize, usize) {
    let output = platform
        .command(speakr_e2e::platform::Role::Embedder)
        .arg("rebuild")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let last = said.lines().last().unwrap();
    let mut numbers = last
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|text| text.parse().ok());
    (numbers.next().unwrap(), numbers.next().unwrap())
}
