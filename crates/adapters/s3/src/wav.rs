//! The header of a WAV file, of any length: RF64 where 32 bits don't hold it.

use speakr_core::audio::SAMPLE_RATE_HZ;

/// Bytes of one sample.
pub(crate) const SAMPLE_BYTES: u64 = 2;

/// Bytes of every header that we write: room for RF64's sizes is kept in the short form too, so
/// that the sound begins at one place.
pub(crate) const HEADER_BYTES: u64 = 80;

/// The header before `data_bytes` of sound.
pub(crate) fn header(data_bytes: u64) -> Vec<u8> {
    let riff_bytes = HEADER_BYTES - 8 + data_bytes;
    let long = riff_bytes > u64::from(u32::MAX);
    let short = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let mut header = Vec::with_capacity(HEADER_BYTES as usize);
    header.extend(if long { b"RF64" } else { b"RIFF" });
    header.extend(if long { [0xff; 4] } else { short(riff_bytes) });
    header.extend(b"WAVE");
    // Sizes in 64 bits, or as many bytes that mean nothing.
    header.extend(if long { b"ds64" } else { b"JUNK" });
    header.extend(28_u32.to_le_bytes());
    let sizes = if long {
        [riff_bytes, data_bytes, data_bytes / SAMPLE_BYTES]
    } else {
        [0; 3]
    };
    header.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
    header.extend([0; 4]);
    header.extend(b"fmt ");
    header.extend(16_u32.to_le_bytes());
    header.extend(1_u16.to_le_bytes()); // Plain samples …
    header.extend(1_u16.to_le_bytes()); // … of one channel.
    header.extend(SAMPLE_RATE_HZ.to_le_bytes());
    header.extend((SAMPLE_RATE_HZ * SAMPLE_BYTES as u32).to_le_bytes());
    header.extend((SAMPLE_BYTES as u16).to_le_bytes());
    header.extend((SAMPLE_BYTES as u16 * 8).to_le_bytes());
    header.extend(b"data");
    header.extend(if long { [0xff; 4] } else { short(data_bytes) });
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_sound_has_a_plain_header_and_its_length() {
        let header = header(32_000);
        assert_eq!(header.len() as u64, HEADER_BYTES);
        assert_eq!(&header[..4], b"RIFF");
        assert_eq!(header[4..8], (72_u32 + 32_000).to_le_bytes());
        assert_eq!(&header[72..76], b"data");
        assert_eq!(header[76..], 32_000_u32.to_le_bytes());
    }

    #[test]
    fn a_sound_of_more_than_four_gigabytes_tells_its_length_in_64_bits() {
        let bytes = 10_000_000_000_u64;
        let header = header(bytes);
        assert_eq!(header.len() as u64, HEADER_BYTES);
        assert_eq!(&header[..4], b"RF64");
        assert_eq!(header[20..28], (bytes + 72).to_le_bytes());
        assert_eq!(header[28..36], bytes.to_le_bytes());
        assert_eq!(header[76..], [0xff; 4]);
    }
}
