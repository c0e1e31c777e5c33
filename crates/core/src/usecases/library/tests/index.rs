//! An index in memory, which compares all there is with what is looked for.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use async_trait::async_trait;

use crate::{
    keywords::{self, Choice},
    ports::index::{EmbeddedPassage, Entry, Filter, Index, IndexError, PassageHit},
    recording::{Recording, RecordingId},
    transcript::Transcript,
};

struct Known {
    recording: Recording,
    text: String,
    passages: Vec<EmbeddedPassage>,
    /// Empty where the passages wait for their vectors.
    model: String,
}

impl Known {
    fn passes(&self, filter: &Filter) -> bool {
        let recording = &self.recording;
        recording.tags.contains_all(&filter.tags)
            && filter.since.is_none_or(|time| recording.created_at >= time)
            && filter.until.is_none_or(|time| recording.created_at < time)
            && (filter.states.is_empty() || filter.states.contains(&recording.state))
    }

    fn entry(&self) -> Entry {
        Entry {
            recording: self.recording.clone(),
            text: self.text.clone(),
        }
    }

    fn hit(&self, embedded: &EmbeddedPassage) -> PassageHit {
        PassageHit {
            recording_id: self.recording.recording_id,
            passage: embedded.passage.clone(),
            cosine: None,
            coverage: None,
        }
    }

    fn cosine(&self, embedded: &EmbeddedPassage, vector: &[f32], model: &str) -> Option<f32> {
        let comparable = self.model == model && embedded.vector.len() == vector.len();
        comparable.then(|| embedded.vector.iter().zip(vector).map(|(a, b)| a * b).sum())
    }
}

#[derive(Default)]
pub(super) struct MemoryIndex {
    known: Mutex<BTreeMap<RecordingId, Known>>,
    mark: Mutex<Option<String>>,
}

/// The words of a text, in order.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(stem)
        .collect()
}

/// A word as it is compared: about the same in all its forms.
fn stem(word: &str) -> String {
    let plain: String = word.to_lowercase().replace(['é', 'è', 'ê'], "e");
    let Some(verb) = plain.strip_suffix("ing") else {
        return plain.strip_suffix('s').unwrap_or(&plain).to_owned();
    };
    let mut ends = verb.chars().rev();
    match (ends.next(), ends.next()) {
        (Some(last), Some(before)) if last == before => verb[..verb.len() - last.len_utf8()].into(),
        _ => verb.to_owned(),
    }
}

/// The best `limit`, best first, and all that rank the same as the last of them.
fn best(mut ranked: Vec<(f64, PassageHit)>, limit: usize) -> Vec<PassageHit> {
    let key = |hit: &PassageHit| (hit.recording_id, hit.passage.ordinal);
    ranked.sort_by(|(a, hit), (b, other)| b.total_cmp(a).then(key(hit).cmp(&key(other))));
    if limit < ranked.len() {
        let last = limit.checked_sub(1).map(|last| ranked[last].0);
        let enough = |rank: f64| last.is_some_and(|last| rank >= last);
        ranked.truncate(ranked.partition_point(|(rank, _)| enough(*rank)));
    }
    ranked.into_iter().map(|(_, hit)| hit).collect()
}

#[async_trait]
impl Index for MemoryIndex {
    async fn upsert(
        &self,
        recording: &Recording,
        transcript: Option<&Transcript>,
        passages: &[EmbeddedPassage],
        model: &str,
    ) -> Result<(), IndexError> {
        let mut all = self.known.lock().unwrap();
        let length = |passages: &[EmbeddedPassage]| {
            let mut lengths = passages.iter().map(|p| p.vector.len());
            lengths.find(|length| *length > 0)
        };
        let mut same_model = all.values().filter(|known| known.model == model);
        let wanted = same_model.find_map(|known| length(&known.passages));
        if let (Some(wanted), Some(given)) = (wanted, length(passages))
            && wanted != given
        {
            return Err(IndexError::Refused {
                place: "in memory".to_owned(),
                action: "store passages",
                cause: format!("a vector of {given} numbers among those of {wanted}").into(),
            });
        }
        let known = Known {
            recording: recording.clone(),
            text: transcript.map(|t| t.text.clone()).unwrap_or_default(),
            passages: passages.to_vec(),
            model: model.to_owned(),
        };
        all.insert(recording.recording_id, known);
        Ok(())
    }

    async fn update(&self, recording: &Recording) -> Result<(), IndexError> {
        let mut all = self.known.lock().unwrap();
        all.entry(recording.recording_id)
            .or_insert_with(|| Known {
                recording: recording.clone(),
                text: String::new(),
                passages: Vec::new(),
                model: String::new(),
            })
            .recording = recording.clone();
        Ok(())
    }

    async fn remove(&self, id: RecordingId) -> Result<u64, IndexError> {
        let removed = self.known.lock().unwrap().remove(&id);
        Ok(removed.map_or(0, |known| known.passages.len() as u64))
    }

    async fn list(&self, filter: &Filter, limit: usize) -> Result<Vec<Entry>, IndexError> {
        let all = self.known.lock().unwrap();
        let passing = all.values().filter(|known| known.passes(filter));
        let mut entries: Vec<_> = passing.map(Known::entry).collect();
        entries.sort_by_key(|entry| Reverse(entry.recording.created_at));
        entries.truncate(limit);
        Ok(entries)
    }

    async fn entries(&self, ids: &[RecordingId]) -> Result<Vec<Entry>, IndexError> {
        let all = self.known.lock().unwrap();
        Ok(ids
            .iter()
            .filter_map(|id| all.get(id))
            .map(Known::entry)
            .collect())
    }

    async fn ids(&self) -> Result<Vec<RecordingId>, IndexError> {
        Ok(self.known.lock().unwrap().keys().copied().collect())
    }

    async fn agreed_mark(&self) -> Result<Option<String>, IndexError> {
        Ok(self.mark.lock().unwrap().clone())
    }

    async fn remember_mark(&self, mark: &str) -> Result<(), IndexError> {
        *self.mark.lock().unwrap() = Some(mark.to_owned());
        Ok(())
    }

    async fn ids_with_prefix(&self, prefix: &str) -> Result<Vec<RecordingId>, IndexError> {
        let prefix = prefix.replace('-', "").to_lowercase();
        let begins = |id: &&RecordingId| id.as_uuid().simple().to_string().starts_with(&prefix);
        let all = self.known.lock().unwrap();
        Ok(all.keys().filter(begins).take(10).copied().collect())
    }

    async fn keyword_hits(
        &self,
        query: &str,
        vector: Option<(&[f32], &str)>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<PassageHit>, IndexError> {
        let wanted: Vec<String> = keywords::words(query).iter().map(|w| stem(w)).collect();
        let all = self.known.lock().unwrap();
        // Each passage with how many words it has, and which of those wanted.
        let passages: Vec<_> = all
            .values()
            .flat_map(|known| known.passages.iter().map(move |passage| (known, passage)))
            .map(|(known, embedded)| {
                let words = words(&embedded.passage.text);
                let held: Vec<bool> = wanted.iter().map(|word| words.contains(word)).collect();
                (known, embedded, words.len(), held)
            })
            .collect();
        let count = |word| passages.iter().filter(|(.., held)| held[word]).count() as u32;
        let held_by: Vec<u32> = (0..wanted.len()).map(count).collect();
        let weigh = |held_by: &u32| keywords::weight(*held_by, passages.len() as u32);
        let weights: Vec<f64> = held_by.iter().map(weigh).collect();
        let whole: f64 = weights.iter().sum();

        let ranked = |choice: &Choice| -> Vec<(f64, PassageHit)> {
            passages
                .iter()
                .filter(|(known, .., held)| {
                    known.passes(filter)
                        && match choice {
                            Choice::Any(words) => words.iter().any(|word| held[*word]),
                            Choice::All(words) => words.iter().all(|word| held[*word]),
                        }
                })
                .map(|(known, embedded, words, held)| {
                    let weights = weights.iter().zip(held).filter(|(_, held)| **held);
                    let share = weights.map(|(weight, _)| weight).sum::<f64>() / whole;
                    let mut hit = known.hit(embedded);
                    hit.coverage = Some(share as f32);
                    hit.cosine = vector.and_then(|(v, model)| known.cosine(embedded, v, model));
                    // Of those that hold the same, what says little else is more about it.
                    (share + 1e-6 / *words as f64, hit)
                })
                .collect()
        };
        let Some(choice) = Choice::of(&held_by, passages.len() as u32) else {
            return Ok(Vec::new());
        };
        let found = ranked(&choice);
        match choice.widened(&held_by) {
            Some(wider) if !keywords::will_do(found.len(), limit, filter) => {
                Ok(best(ranked(&wider), limit))
            }
            _ => Ok(best(found, limit)),
        }
    }

    async fn vector_hits(
        &self,
        vector: &[f32],
        model: &str,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<PassageHit>, IndexError> {
        let all = self.known.lock().unwrap();
        let mut ranked = Vec::new();
        for known in all.values().filter(|known| known.passes(filter)) {
            for embedded in &known.passages {
                if let Some(cosine) = known.cosine(embedded, vector, model) {
                    let mut hit = known.hit(embedded);
                    hit.cosine = Some(cosine);
                    ranked.push((f64::from(cosine), hit));
                }
            }
        }
        Ok(best(ranked, limit))
    }

    async fn other_models(&self, model: &str) -> Result<Vec<String>, IndexError> {
        let all = self.known.lock().unwrap();
        let embedded = all.values().filter(|known| !known.model.is_empty());
        let models: BTreeSet<_> = embedded.map(|known| known.model.clone()).collect();
        if models.contains(model) {
            return Ok(Vec::new());
        }
        Ok(models.into_iter().collect())
    }

    async fn not_embedded_by(
        &self,
        model: &str,
        limit: usize,
    ) -> Result<Vec<RecordingId>, IndexError> {
        let all = self.known.lock().unwrap();
        Ok(all
            .iter()
            .filter(|(_, known)| known.model != model && !known.text.trim().is_empty())
            .map(|(id, _)| *id)
            .take(limit)
            .collect())
    }
}
