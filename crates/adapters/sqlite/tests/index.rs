//! The index: what goes in comes out, by words and by meaning, and nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use proptest::prelude::*;
use speakr_core::ports::index::{Filter, Index};
use support::{
    Place,
    contract::{self, index_cases},
    things::{MODEL, Numbers, found_by, passage, put, recording_at, tagged, transcript},
};

macro_rules! test {
    ($($name:ident)*) => {$(
        #[tokio::test]
        async fn $name() {
            let place = Place::new();
            contract::$name(&place.open().await).await;
        }
    )*};
}
index_cases!(test);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_is_a_query_and_any_tag_a_filter(query in any::<String>(), tag in any::<String>()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let place = Place::new();
            let index = place.open().await;
            let recording = recording_at(1, &[&tag]);
            put(&index, &recording, &["alpha beta"], &mut Numbers(5)).await;
            let filter = tagged(&[&tag]);
            index.keyword_hits(&query, None, &filter, 10).await.unwrap();
            let found = found_by(&index, "alpha", &filter).await;
            prop_assert_eq!(found, [recording.recording_id]);
            prop_assert_eq!(index.list(&filter, 10).await.unwrap().len(), 1);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn what_is_removed_leaves_no_byte_in_any_file() {
    let place = Place::new();
    let index = place.open().await;
    let mut numbers = Numbers(11);
    for i in 0..20 {
        put(
            &index,
            &recording_at(i, &[]),
            &["harmless words"],
            &mut numbers,
        )
        .await;
    }
    let secret = recording_at(99, &["xylophone"]);
    let vector = numbers.vector();
    let text = "the xylophone is buried under the zucchini";
    index
        .upsert(
            &secret,
            Some(&transcript(&secret, text)),
            &[passage(0, text, vector.clone())],
            MODEL,
        )
        .await
        .unwrap();
    let raw_vector: Vec<u8> = vector.iter().flat_map(|v| v.to_le_bytes()).collect();
    let id = secret.recording_id.as_uuid().simple().to_string();
    let needles: [&[u8]; 4] = [b"xylophone", b"zucchini", &raw_vector[..64], id.as_bytes()];
    let bytes = || -> Vec<u8> {
        ["", "-wal"]
            .iter()
            .flat_map(|suffix| {
                let file = format!("{}{suffix}", place.path.display());
                std::fs::read(file).unwrap_or_default()
            })
            .collect()
    };
    let holds = |bytes: &[u8], needle: &[u8]| bytes.windows(needle.len()).any(|w| w == needle);
    let before = bytes();
    assert!(needles.iter().all(|needle| holds(&before, needle)));
    assert_eq!(index.remove(secret.recording_id).await.unwrap(), 1);
    let after = bytes();
    for needle in needles {
        assert!(
            !holds(&after, needle),
            "{}",
            String::from_utf8_lossy(needle)
        );
    }
    assert_eq!(index.remove(secret.recording_id).await.unwrap(), 0);
    assert!(
        found_by(&index, "xylophone", &Filter::default())
            .await
            .is_empty()
    );
    assert_eq!(
        index
            .vector_hits(&vector, MODEL, &Filter::default(), 99)
            .await
            .unwrap()
            .len(),
        20
    );
}
