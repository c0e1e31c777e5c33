//! Microphones of a replica's own.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;

use super::world::World;
use crate::ports::sound::{Device, DeviceInfo, Microphone, SoundError, SoundSource};

/// One that gives so much, and ends.
pub(super) struct Tape(pub(super) Vec<i16>);

#[async_trait]
impl Microphone for Tape {
    async fn open(&self, _: &Device) -> Result<Box<dyn SoundSource>, SoundError> {
        Ok(Box::new(Playing(self.0.clone())))
    }

    async fn devices(&self) -> Result<Vec<DeviceInfo>, SoundError> {
        Ok(Vec::new())
    }
}

/// A room that somebody speaks in.
pub(super) struct Room(pub(super) Arc<World>);

#[async_trait]
impl Microphone for Room {
    async fn open(&self, _: &Device) -> Result<Box<dyn SoundSource>, SoundError> {
        self.0.microphone_is_open.store(true, Ordering::SeqCst);
        Ok(Box::new(Speaking(Arc::clone(&self.0))))
    }

    async fn devices(&self) -> Result<Vec<DeviceInfo>, SoundError> {
        Ok(Vec::new())
    }
}

struct Speaking(Arc<World>);

#[async_trait]
impl SoundSource for Speaking {
    async fn next(&mut self) -> Result<Option<Vec<i16>>, SoundError> {
        if !self.0.microphone_is_open.load(Ordering::SeqCst) {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Each piece has samples of its own, so that one that is lost or doubled is seen.
        let mut spoken = self.0.spoken.lock().unwrap();
        let loudness = 1_000 + i16::try_from(spoken.len() / 1_600).unwrap();
        let pcm = vec![loudness; 1_600];
        spoken.extend(&pcm);
        Ok(Some(pcm))
    }

    async fn stop(&mut self) {
        self.0.microphone_is_open.store(false, Ordering::SeqCst);
    }
}

/// Sound that is there, whole.
pub(super) struct Playing(pub(super) Vec<i16>);

#[async_trait]
impl SoundSource for Playing {
    async fn next(&mut self) -> Result<Option<Vec<i16>>, SoundError> {
        let pcm = std::mem::take(&mut self.0);
        Ok((!pcm.is_empty()).then_some(pcm))
    }

    async fn stop(&mut self) {}
}
