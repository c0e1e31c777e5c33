use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use super::*;

/// Gives its chunks one by one; after `stop` it gives `tail` and ends.
struct Scripted {
    chunks: Vec<Vec<i16>>,
    tail: Option<Vec<i16>>,
    endless: bool,
    breaks: bool,
    stopped: bool,
}

impl Scripted {
    fn of(chunks: &[usize]) -> Self {
        Self {
            chunks: chunks.iter().rev().map(|&n| vec![7; n]).collect(),
            tail: None,
            endless: false,
            breaks: false,
            stopped: false,
        }
    }
}

#[async_trait]
impl SoundSource for Scripted {
    async fn next(&mut self) -> Result<Option<Vec<i16>>, SoundError> {
        if self.stopped {
            return Ok(self.tail.take());
        }
        match self.chunks.pop() {
            Some(chunk) => Ok(Some(chunk)),
            None if self.breaks => Err(SoundError::NotSound {
                input: "scripted".into(),
                reason: "it broke".into(),
            }),
            None if self.endless => std::future::pending().await,
            None => Ok(None),
        }
    }

    async fn stop(&mut self) {
        self.stopped = true;
    }
}

#[derive(Default)]
struct Memory {
    pcm: Vec<i16>,
    syncs: usize,
    room: Option<usize>,
}

#[async_trait]
impl SoundWriter for Memory {
    async fn write(&mut self, pcm: &[i16]) -> Result<(), ArchiveError> {
        if self
            .room
            .is_some_and(|room| self.pcm.len() + pcm.len() > room)
        {
            return Err(ArchiveError::Full {
                place: "memory".into(),
            });
        }
        self.pcm.extend_from_slice(pcm);
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), ArchiveError> {
        self.syncs += 1;
        Ok(())
    }

    fn samples(&self) -> u64 {
        self.pcm.len() as u64
    }
}

#[derive(Default)]
struct LastSeen(AtomicU64);

impl CaptureObserver for LastSeen {
    fn on_sound(&self, _level_dbfs: f32, captured_ms: u64, _paused: bool) {
        self.0.store(captured_ms, Ordering::Relaxed);
    }
}

async fn run(
    source: &mut Scripted,
    writer: &mut Memory,
    asked: &[Control],
    max: Option<Duration>,
) -> (Captured, u64) {
    let (control, mut controls) = mpsc::unbounded_channel();
    for &c in asked {
        control.send(c).unwrap();
    }
    let (listener, mut heard) = mpsc::unbounded_channel();
    let seen = LastSeen::default();
    let captured = capture(source, writer, &mut controls, max, listener, &seen).await;
    let mut samples = 0;
    while let Ok(pcm) = heard.try_recv() {
        samples += pcm.len() as u64;
    }
    (captured, samples)
}

#[tokio::test]
async fn all_sound_of_a_source_that_ends_is_kept_synced_and_heard() {
    let mut writer = Memory::default();
    let (captured, heard) = run(
        &mut Scripted::of(&[16_000, 16_000, 10]),
        &mut writer,
        &[],
        None,
    )
    .await;
    assert!(matches!(captured.end, CaptureEnd::SourceEnded));
    assert_eq!((captured.samples, heard), (32_010, 32_010));
    assert_eq!(writer.syncs, 3, "one a second, one at the end");
}

#[tokio::test]
async fn what_the_source_still_holds_when_told_to_stop_is_kept() {
    let mut source = Scripted {
        tail: Some(vec![1; 99]),
        ..Scripted::of(&[500])
    };
    let (captured, heard) = run(&mut source, &mut Memory::default(), &[Control::Stop], None).await;
    assert!(matches!(captured.end, CaptureEnd::Asked));
    assert_eq!((captured.samples, heard), (99, 99));
}

#[tokio::test]
async fn the_greatest_length_is_kept_to_the_sample() {
    let (captured, heard) = run(
        &mut Scripted::of(&[400, 400, 400]),
        &mut Memory::default(),
        &[],
        Some(Duration::from_millis(40)),
    )
    .await;
    assert!(matches!(captured.end, CaptureEnd::MaxDuration));
    assert_eq!((captured.samples, heard), (640, 640));
}

#[tokio::test]
async fn a_full_disk_ends_the_capture_and_keeps_what_was_written() {
    let mut writer = Memory {
        room: Some(700),
        ..Memory::default()
    };
    let (captured, heard) = run(&mut Scripted::of(&[400, 200, 400]), &mut writer, &[], None).await;
    assert!(matches!(
        captured.end,
        CaptureEnd::ArchiveFailed(ArchiveError::Full { .. })
    ));
    assert_eq!((captured.samples, heard), (600, 600));
}

#[tokio::test]
async fn a_source_that_breaks_keeps_what_came_before() {
    let mut source = Scripted {
        breaks: true,
        ..Scripted::of(&[300])
    };
    let (captured, _) = run(&mut source, &mut Memory::default(), &[], None).await;
    assert!(matches!(captured.end, CaptureEnd::SourceBroke(_)));
    assert_eq!(captured.samples, 300);
}

#[tokio::test]
async fn a_paused_capture_keeps_nothing_until_it_goes_on() {
    let (captured, heard) = run(
        &mut Scripted::of(&[300, 300]),
        &mut Memory::default(),
        &[Control::TogglePause],
        None,
    )
    .await;
    assert_eq!((captured.samples, heard), (0, 0));
}

#[tokio::test]
async fn cancelling_ends_at_once() {
    let mut source = Scripted {
        endless: true,
        ..Scripted::of(&[])
    };
    let (captured, _) = run(
        &mut source,
        &mut Memory::default(),
        &[Control::Cancel],
        None,
    )
    .await;
    assert!(matches!(captured.end, CaptureEnd::Cancelled));
}

#[tokio::test]
async fn a_tee_keeps_what_it_passes_and_tells_why_it_ended() {
    let mut source = Scripted {
        breaks: true,
        ..Scripted::of(&[10, 20])
    };
    let mut writer = Memory::default();
    let mut tee = Tee::new(&mut source, Some(&mut writer));
    let chunks: Vec<_> = tee.stream().collect().await;
    assert_eq!(chunks.len(), 2);
    assert!(matches!(tee.finish().await, Err(TeeError::Source(_))));
    assert_eq!(writer.pcm.len(), 30);
}

#[tokio::test]
async fn a_tee_over_a_resumed_writer_adds_only_what_is_missing() {
    for kept in [0, 5, 10, 11, 30, 40] {
        let mut source = Scripted::of(&[10, 20]);
        let mut writer = Memory {
            pcm: vec![7; kept],
            ..Memory::default()
        };
        let mut tee = Tee::new(&mut source, Some(&mut writer));
        let heard: usize = tee
            .stream()
            .map(|c| c.len())
            .collect::<Vec<_>>()
            .await
            .iter()
            .sum();
        assert_eq!(heard, 30);
        assert_eq!(tee.finish().await.unwrap(), 30);
        assert_eq!(writer.pcm.len(), kept.max(30));
    }
}
