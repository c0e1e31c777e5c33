//! Kept sound as a file, of one object or of the pieces that it came in, read from anywhere in it.

use std::{
    ops::Range,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use speakr_core::ports::archive::{ArchiveError, Pieces, SoundFile, SoundForm};

use crate::{archive::Keys, sound::pieces, store::Store};

/// The objects of a recording's sound, as they were when they were looked up.
#[derive(Debug)]
pub(crate) struct ObjectFile {
    store: Store,
    form: SoundForm,
    /// Keys and sizes in bytes.
    objects: Vec<(String, u64)>,
    modified: Option<SystemTime>,
}

impl ObjectFile {
    /// The sound of a recording; `None` when there is none.
    pub(crate) async fn open(store: Store, keys: &Keys) -> Result<Option<Self>, ArchiveError> {
        let lasting = store.list(&keys.sound()).await?.into_iter().next();
        if let Some(object) = lasting {
            return Ok(Some(Self {
                store,
                form: SoundForm::Wav,
                objects: vec![(object.key, object.bytes)],
                modified: object.modified,
            }));
        }
        let pieces = pieces(&store, keys).await?;
        Ok(pieces.map(|pieces| Self {
            store,
            form: SoundForm::Raw,
            objects: pieces.into_iter().map(|p| (p.key, p.bytes)).collect(),
            modified: None,
        }))
    }
}

#[async_trait]
impl SoundFile for ObjectFile {
    fn form(&self) -> SoundForm {
        self.form
    }

    fn bytes(&self) -> u64 {
        self.objects.iter().map(|(_, bytes)| bytes).sum()
    }

    fn version(&self) -> String {
        let changed_ms = self
            .modified
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |since| since.as_millis());
        format!("{:x}-{changed_ms:x}", self.bytes())
    }

    async fn read(&self, range: Range<u64>) -> Result<Pieces, ArchiveError> {
        let store = self.store.clone();
        let pieces = stream::iter(parts(&self.objects, range))
            .then(move |(key, range)| {
                let store = store.clone();
                async move { read(&store, &key, range).await }
            })
            .try_flatten();
        Ok(pieces.boxed())
    }
}

/// Which bytes of which objects a range of all their bytes is made of.
fn parts(objects: &[(String, u64)], range: Range<u64>) -> Vec<(String, Range<u64>)> {
    let mut parts = Vec::new();
    let mut begins = 0;
    for (key, bytes) in objects {
        let ends = begins + bytes;
        let (from, to) = (range.start.max(begins), range.end.min(ends));
        if from < to {
            parts.push((key.clone(), from - begins..to - begins));
        }
        begins = ends;
    }
    parts
}

async fn read(store: &Store, key: &str, range: Range<u64>) -> Result<Pieces, ArchiveError> {
    let place = store.place(key);
    let Some(object) = store.open_part(key, range).await? else {
        return Err(ArchiveError::Damaged {
            place,
            reason: "it is gone".to_owned(),
        });
    };
    let pieces = stream::try_unfold(object.body, move |mut body| {
        let place = place.clone();
        async move {
            let piece = body.try_next().await.map_err(|cause| ArchiveError::Io {
                action: "read",
                place,
                cause: Box::new(cause),
            })?;
            Ok(piece.map(|piece| (piece.to_vec(), body)))
        }
    });
    Ok(pieces.boxed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_made_of_the_objects_that_it_touches() {
        let objects: Vec<(String, u64)> = [("a", 10), ("b", 5), ("c", 10)]
            .map(|(key, bytes)| (key.to_owned(), bytes))
            .to_vec();
        let part = |key: &str, range| (key.to_owned(), range);
        for (range, wanted) in [
            (0..4, vec![part("a", 0..4)]),
            (
                9..16,
                vec![part("a", 9..10), part("b", 0..5), part("c", 0..1)],
            ),
            (10..15, vec![part("b", 0..5)]),
            (24..25, vec![part("c", 9..10)]),
            (7..7, vec![]),
        ] {
            assert_eq!(parts(&objects, range.clone()), wanted, "{range:?}");
        }
    }
}
