//! What was embedded lately isn't embedded again: people search for the same things, and a page that
//! asks again for more asks in the same words.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use lru::LruCache;

use crate::ports::embedding::{Embedder, EmbeddingError};

/// Longer texts aren't remembered, in bytes: a query is short.
const LONGEST: usize = 1_000;

/// An embedder that remembers the vectors of the last short texts. It is for queries: passages come
/// but once.
pub struct RememberingEmbedder {
    inner: Arc<dyn Embedder>,
    known: Mutex<LruCache<String, Vec<f32>>>,
}

impl std::fmt::Debug for RememberingEmbedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RememberingEmbedder")
            .field("model", &self.inner.model_id())
            .field("known", &self.known().len())
            .finish_non_exhaustive()
    }
}

impl RememberingEmbedder {
    /// `inner` with a memory of `texts` texts.
    #[must_use]
    pub fn new(inner: Arc<dyn Embedder>, texts: NonZeroUsize) -> Self {
        Self {
            inner,
            known: Mutex::new(LruCache::new(texts)),
        }
    }

    fn known(&self) -> MutexGuard<'_, LruCache<String, Vec<f32>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Embedder for RememberingEmbedder {
    fn model_id(&self) -> &str {
        self.inner.model_id()
    }

    fn dimensions(&self) -> usize {
        self.inner.dimensions()
    }

    fn max_tokens(&self) -> usize {
        self.inner.max_tokens()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.inner.count_tokens(text)
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbeddingError> {
        let [text] = texts else {
            return self.inner.embed(texts).await;
        };
        if let Some(vector) = self.known().get(text) {
            return Ok(vec![vector.clone()]);
        }
        let vectors = self.inner.embed(texts).await?;
        if let [vector] = vectors.as_slice()
            && text.len() <= LONGEST
        {
            self.known().put(text.clone(), vector.clone());
        }
        Ok(vectors)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts what it is asked for.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    #[async_trait]
    impl Embedder for Counting {
        fn model_id(&self) -> &str {
            "counting"
        }

        fn dimensions(&self) -> usize {
            1
        }

        fn max_tokens(&self) -> usize {
            256
        }

        fn count_tokens(&self, text: &str) -> usize {
            text.len()
        }

        async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbeddingError> {
            self.0.fetch_add(texts.len(), Ordering::Relaxed);
            Ok(texts.iter().map(|text| vec![text.len() as f32]).collect())
        }
    }

    async fn length_of(embedder: &RememberingEmbedder, text: &str) -> f32 {
        embedder.embed(&[text.to_owned()]).await.unwrap()[0][0]
    }

    #[tokio::test]
    async fn a_query_that_comes_again_is_embedded_once_until_too_many_others_came() {
        let inner = Arc::new(Counting::default());
        let two = NonZeroUsize::new(2).unwrap();
        let embedder = RememberingEmbedder::new(inner.clone(), two);
        let asked = || inner.0.load(Ordering::Relaxed);
        for _ in 0..3 {
            assert_eq!(length_of(&embedder, "one").await, 3.0);
        }
        assert_eq!(asked(), 1);
        length_of(&embedder, "two").await;
        length_of(&embedder, "one").await;
        length_of(&embedder, "three").await;
        assert_eq!(asked(), 3);
        length_of(&embedder, "one").await;
        assert_eq!(asked(), 3, "the one that was asked for least lately goes");
        length_of(&embedder, "two").await;
        assert_eq!(asked(), 4);
    }

    #[tokio::test]
    async fn long_texts_and_many_at_once_are_not_remembered() {
        let inner = Arc::new(Counting::default());
        let embedder = RememberingEmbedder::new(inner.clone(), NonZeroUsize::MIN);
        let long = "x".repeat(LONGEST + 1);
        for _ in 0..2 {
            length_of(&embedder, &long).await;
            let both = ["a".to_owned(), "b".to_owned()];
            assert_eq!(embedder.embed(&both).await.unwrap().len(), 2);
        }
        assert_eq!(inner.0.load(Ordering::Relaxed), 6);
    }
}
