use proptest::prelude::*;

use super::*;

const FRAME: usize = 512;

/// Sound in which every sample tells its place, as far as 16 bits go.
fn ramp(samples: usize) -> Vec<i16> {
    (0..samples).map(|i| (i % 60_000) as u16 as i16).collect()
}

/// Feeds sound and probabilities in chunks of the given sizes, over and over.
fn cut(
    config: &SegmenterConfig,
    pcm: &[i16],
    probabilities: &[f32],
    chunks: &[usize],
) -> Vec<Piece> {
    let mut segmenter = Segmenter::new(config.clone(), FRAME);
    let mut pieces = Vec::new();
    let (mut at, mut frames) = (0, 0);
    for &size in chunks.iter().cycle() {
        if at >= pcm.len() {
            break;
        }
        let to = (at + size.max(1)).min(pcm.len());
        let whole = to / FRAME;
        pieces.extend(segmenter.push(&pcm[at..to], &probabilities[frames..whole]));
        at = to;
        frames = whole;
    }
    pieces.extend(segmenter.finish());
    assert_eq!(segmenter.samples(), pcm.len() as u64);
    assert_eq!(
        segmenter.speech_samples(),
        pieces.iter().map(Piece::speech_samples).sum::<u64>()
    );
    pieces
}

/// Probabilities from runs of (frames, probability), with the sound that belongs to them.
fn runs(runs: &[(usize, f32)]) -> (Vec<i16>, Vec<f32>) {
    let probabilities: Vec<f32> = runs
        .iter()
        .flat_map(|&(frames, p)| std::iter::repeat_n(p, frames))
        .collect();
    (ramp(probabilities.len() * FRAME), probabilities)
}

fn whole(config: &SegmenterConfig, parts: &[(usize, f32)]) -> Vec<Piece> {
    let (pcm, probabilities) = runs(parts);
    cut(config, &pcm, &probabilities, &[FRAME])
}

/// Frames of `ms` milliseconds.
fn frames(ms: usize) -> usize {
    ms * 16 / FRAME
}

#[test]
fn without_speech_there_is_no_piece() {
    assert_eq!(whole(&SegmenterConfig::file(), &[(500, 0.1)]), []);
    assert_eq!(whole(&SegmenterConfig::live(), &[]), []);
}

#[test]
fn a_click_is_no_speech() {
    assert_eq!(
        whole(&SegmenterConfig::live(), &[(50, 0.0), (2, 0.9), (50, 0.0)]),
        []
    );
}

#[test]
fn a_piece_is_padded_on_both_sides() {
    let config = SegmenterConfig::live();
    let pieces = whole(&config, &[(100, 0.0), (60, 0.9), (100, 0.0)]);
    let [piece] = &pieces[..] else {
        panic!("{pieces:?}")
    };
    let padding = config.padding_ms * 16;
    assert_eq!(piece.start_sample, 100 * 512 - padding);
    assert_eq!(piece.end_sample(), 160 * 512 + padding);
    assert_eq!(piece.speech, std::slice::from_ref(&(100 * 512..160 * 512)));
}

#[test]
fn speech_goes_on_between_the_two_thresholds_and_over_short_gaps() {
    let pieces = whole(
        &SegmenterConfig::file(),
        &[
            (30, 0.0),
            (20, 0.9),
            (30, 0.4),
            (2, 0.1),
            (20, 0.9),
            (100, 0.0),
        ],
    );
    assert_eq!(pieces.len(), 1);
    assert_eq!(
        pieces[0].speech,
        std::slice::from_ref(&(30 * 512..102 * 512))
    );
}

#[test]
fn a_file_is_merged_over_pauses_that_end_a_live_piece() {
    let parts = [
        (frames(17_000), 0.9),
        (frames(1_000), 0.0),
        (frames(4_000), 0.9),
    ];
    assert_eq!(whole(&SegmenterConfig::file(), &parts).len(), 1);
    assert_eq!(whole(&SegmenterConfig::live(), &parts).len(), 2);
}

#[test]
fn a_live_piece_ends_before_the_stream_does() {
    let (pcm, probabilities) = runs(&[(60, 0.9), (frames(2_500), 0.0)]);
    let mut segmenter = Segmenter::new(SegmenterConfig::live(), FRAME);
    assert_eq!(segmenter.push(&pcm, &probabilities).len(), 1);
    assert_eq!(segmenter.finish(), []);
}

#[test]
fn a_piece_that_grows_too_long_is_cut_in_its_longest_gap() {
    let config = SegmenterConfig {
        longest_ms: 20_000,
        ..SegmenterConfig::file()
    };
    let (talk, short, long) = (frames(4_000), frames(200), frames(600));
    let parts = [
        (talk, 0.9),
        (short, 0.0),
        (talk, 0.9),
        (short, 0.0),
        (talk, 0.9),
        (long, 0.0),
        (talk, 0.9),
        (short, 0.0),
        (talk, 0.9),
        (short, 0.0),
        (talk, 0.9),
    ];
    let pieces = whole(&config, &parts);
    assert_eq!(
        pieces.len(),
        2,
        "{:?}",
        pieces.iter().map(|p| p.speech.clone()).collect::<Vec<_>>()
    );
    assert_eq!(pieces[0].speech.len(), 3);
    assert_eq!(pieces[1].speech.len(), 3);
}

#[test]
fn speech_without_a_pause_is_cut_where_it_is_most_quiet() {
    let config = SegmenterConfig::live();
    let dip = frames(12_000);
    let total = frames(30_000);
    let probabilities: Vec<f32> = (0..total)
        .map(|f| if f.abs_diff(dip) <= 1 { 0.6 } else { 0.95 })
        .collect();
    let pieces = cut(&config, &vec![100; total * FRAME], &probabilities, &[FRAME]);
    assert_eq!(pieces.len(), 2);
    assert_eq!(pieces[0].end_sample(), (dip * FRAME) as u64);
    assert_eq!(pieces[1].start_sample, pieces[0].end_sample());
}

#[test]
fn the_last_words_after_a_cut_count_however_short_they_are() {
    let config = SegmenterConfig::live();
    // The limit is reached one frame before the speech ends, and the cut falls right there.
    let longest = (config.longest_ms * 16) as usize / FRAME;
    let mut probabilities = vec![0.95; longest];
    probabilities[longest - 2] = 0.4;
    probabilities[longest - 1] = 0.4;
    probabilities.extend([0.02; 40]);
    let pieces = cut(
        &config,
        &vec![100; probabilities.len() * FRAME],
        &probabilities,
        &[FRAME],
    );
    let speech: u64 = pieces.iter().map(Piece::speech_samples).sum();
    assert_eq!(speech, (longest * FRAME) as u64);
}

#[test]
fn the_open_piece_is_what_the_end_would_give() {
    let (pcm, probabilities) = runs(&[(20, 0.0), (60, 0.9), (8, 0.0)]);
    let mut segmenter = Segmenter::new(SegmenterConfig::live(), FRAME);
    assert_eq!(segmenter.open_piece(), None);
    assert_eq!(segmenter.pause_samples(), None);
    segmenter.push(&pcm, &probabilities);
    assert_eq!(segmenter.pause_samples(), Some(8 * 512));
    let open = segmenter.open_piece().unwrap();
    assert_eq!(segmenter.finish(), [open]);
}

#[test]
fn a_long_silence_is_not_kept() {
    let mut segmenter = Segmenter::new(SegmenterConfig::live(), FRAME);
    for _ in 0..1_000 {
        segmenter.push(&[0; 5 * FRAME], &[0.0; 5]);
        assert!(segmenter.buffer.len() < 16_000);
        assert!(segmenter.frames.len() < 100);
    }
    assert_eq!(segmenter.settled_sample(), 5_000 * 512);
}

/// The stretches of speech as the definition has them, written the long way.
fn stretches(config: &SegmenterConfig, probabilities: &[f32]) -> Vec<Range<usize>> {
    let gap_frames = (config.min_gap_ms * 16).div_ceil(FRAME as u64) as usize;
    let min_frames = (config.min_speech_ms * 16).div_ceil(FRAME as u64) as usize;
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut i = 0;
    while i < probabilities.len() {
        if probabilities[i] < config.speech_on {
            i += 1;
            continue;
        }
        let start = i;
        let mut end = i + 1;
        let mut j = i + 1;
        while j < probabilities.len() && j < end + gap_frames {
            if probabilities[j] >= config.speech_off {
                end = j + 1;
            }
            j += 1;
        }
        if end - start >= min_frames {
            found.push(start..end);
        }
        i = j;
    }
    found
}

fn any_runs() -> impl Strategy<Value = Vec<(usize, f32)>> {
    let run = (
        prop_oneof![1..8_usize, 5..60_usize, 50..500_usize],
        prop_oneof![Just(0.02_f32), Just(0.4), Just(0.55), Just(0.97)],
    );
    proptest::collection::vec(run, 0..25)
}

fn any_config() -> impl Strategy<Value = SegmenterConfig> {
    prop_oneof![
        Just(SegmenterConfig::file()),
        Just(SegmenterConfig::live()),
        Just(SegmenterConfig {
            longest_ms: 3_000,
            earliest_cut_ms: 1_000,
            padding_ms: 100,
            pauses: vec![(0, 300), (1_000, 100)],
            ..SegmenterConfig::live()
        }),
    ]
}

#[test]
fn frames_of_a_short_gap_count_as_speech_also_where_a_piece_that_is_too_long_is_cut_in_it() {
    let config = SegmenterConfig {
        longest_ms: 3_000,
        earliest_cut_ms: 1_000,
        padding_ms: 100,
        pauses: vec![(0, 300), (1_000, 100)],
        ..SegmenterConfig::live()
    };
    let parts = [
        (105, 0.02),
        (42, 0.97),
        (54, 0.02),
        (51, 0.55),
        (323, 0.4),
        (2, 0.02),
        (1, 0.4),
    ];
    let (pcm, probabilities) = runs(&parts);
    let pieces = cut(&config, &pcm, &probabilities, &[1_600]);
    let speech: u64 = pieces.iter().map(Piece::speech_samples).sum();
    let expected: usize = stretches(&config, &probabilities)
        .iter()
        .map(ExactSizeIterator::len)
        .sum();
    assert_eq!(speech, (expected * FRAME) as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn pieces_do_not_depend_on_the_chunks(
        config in any_config(),
        parts in any_runs(),
        tail in 0..FRAME,
        chunks in proptest::collection::vec(1..9_000_usize, 1..12),
    ) {
        let (mut pcm, probabilities) = runs(&parts);
        pcm.extend(ramp(tail));
        let one = cut(&config, &pcm, &probabilities, &[pcm.len()]);
        prop_assert_eq!(cut(&config, &pcm, &probabilities, &chunks), one);
    }

    #[test]
    fn no_speech_is_lost_or_doubled(
        config in any_config(),
        parts in any_runs(),
        tail in 0..FRAME,
    ) {
        let (mut pcm, probabilities) = runs(&parts);
        pcm.extend(ramp(tail));
        let pieces = cut(&config, &pcm, &probabilities, &[1_600]);
        let mut covered = vec![0_u8; probabilities.len()];
        let mut end_before = 0;
        for piece in &pieces {
            prop_assert!(piece.start_sample >= end_before, "pieces overlap");
            end_before = piece.end_sample();
            prop_assert!(piece.pcm.len() as u64 <= config.longest_ms * 16 + 512);
            let from = piece.start_sample as usize;
            prop_assert_eq!(&piece.pcm[..], &pcm[from..from + piece.pcm.len()]);
            prop_assert!(!piece.speech.is_empty());
            for range in &piece.speech {
                prop_assert!(range.start >= piece.start_sample && range.end <= piece.end_sample());
                for frame in range.start as usize / FRAME..range.end as usize / FRAME {
                    if let Some(count) = covered.get_mut(frame) {
                        *count += 1;
                    }
                }
            }
        }
        let mut expected = vec![0_u8; probabilities.len()];
        for stretch in stretches(&config, &probabilities) {
            expected[stretch].fill(1);
        }
        prop_assert_eq!(covered, expected);
    }
}
