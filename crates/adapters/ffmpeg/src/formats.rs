//! Which containers ffmpeg may open: those that hold their sound themselves.
//!
//! A playlist or a manifest (hls, concat, dash, imf, sdp, webm_dash_manifest, …) makes ffmpeg open
//! whatever it names, and ffmpeg recognises it by content, whatever the file is called. So a fixed
//! list of what is allowed, not of what is forbidden: a demuxer that a later ffmpeg brings stays
//! off until somebody has looked at it. Names that an ffmpeg doesn't know do no harm.

/// Names of ffmpeg's demuxers (`ffmpeg -demuxers`) for `-format_whitelist`.
const SELF_CONTAINED: &[&str] = &[
    // Everyday sound and video.
    "aac",
    "ac3",
    "ac4",
    "aiff",
    "amr",
    "amrnb",
    "amrwb",
    "ape",
    "asf",
    "asf_o",
    "au",
    "avi",
    "caf",
    "dts",
    "dtshd",
    "eac3",
    "flac",
    "flv",
    "kux",
    "live_flv",
    "loas",
    "m4v",
    "matroska",
    "webm",
    "mov",
    "mp4",
    "m4a",
    "3gp",
    "3g2",
    "mj2",
    "mp3",
    "mpc",
    "mpc8",
    "mpeg",
    "mpegts",
    "mpegvideo",
    "mxf",
    "nut",
    "ogg",
    "rm",
    "tta",
    "truehd",
    "mlp",
    "vob",
    "w64",
    "wav",
    "wtv",
    "wv",
    "xwma",
    "tak",
    "ty",
    "gxf",
    "dv",
    "dhav",
    "lxf",
    "pva",
    "nuv",
    "nsv",
    "ivr",
    "swf",
    // Speech: dictation machines, telephones, corpora.
    "aa",
    "aax",
    "act",
    "codec2",
    "dss",
    "g722",
    "g723_1",
    "g729",
    "gsm",
    "ilbc",
    "iff",
    "ircam",
    "nistsphere",
    "nsp",
    "oma",
    "paf",
    "pvf",
    "qcp",
    "rso",
    "sbc",
    "sds",
    "shn",
    "sln",
    "sox",
    "voc",
    "avr",
    "vqf",
    "wsd",
    "xa",
    "svs",
    "vag",
    "wve",
    "mmf",
    // High resolution and broadcast.
    "daud",
    "dsf",
    "spdif",
    "s337m",
    "wady",
    "aptx",
    "aptx_hd",
    "hca",
    "osq",
    "rka",
    "shorten",
    "bonk",
    "apac",
    "laf",
    "usm",
    "ifv",
    // Games and old systems.
    "4xm",
    "act",
    "adp",
    "ads",
    "adx",
    "aea",
    "afc",
    "aix",
    "apc",
    "apm",
    "ast",
    "bfstm",
    "bink",
    "binka",
    "brstm",
    "cdxl",
    "cine",
    "ea",
    "film_cpk",
    "fsb",
    "genh",
    "hcom",
    "idcin",
    "mm",
    "msf",
    "mtaf",
    "mtv",
    "mv",
    "mvi",
    "musx",
    "roq",
    "rpl",
    "rsd",
    "sdr2",
    "sdx",
    "smk",
    "smjpeg",
    "smush",
    "sol",
    "str",
    "psxstr",
    "thp",
    "tiertexseq",
    "txd",
    "vmd",
    "vpk",
    "wc3movie",
    "wsaud",
    "wsvqa",
    "xmv",
    "xvag",
    "xwma",
];

/// The protocols that ffmpeg may use: what is on this machine and was named by the caller.
pub(crate) const PROTOCOLS: &str = "file,pipe,fd";

/// The value of `-format_whitelist`.
pub(crate) fn whitelist() -> String {
    SELF_CONTAINED.join(",")
}

/// What a refused format is, in words, where it makes ffmpeg open something else.
pub(crate) fn reference_format(demuxer: &str) -> Option<&'static str> {
    let name = demuxer.split(',').next().unwrap_or(demuxer);
    Some(match name {
        "hls" | "applehttp" => "an HLS playlist",
        "concat" => "an ffconcat list",
        "dash" | "webm_dash_manifest" => "a DASH manifest",
        "imf" => "an IMF playlist",
        "sdp" | "rtsp" | "rtp" | "sap" => "a session description",
        "image2" | "image2pipe" | "alias_pix" => "a picture or a series of pictures",
        "lavfi" | "libavfilter" => "a filter graph",
        "vobsub" => "a subtitle index",
        "tedcaptions" | "ffmetadata" => "a description of another file",
        "avisynth" | "vapoursynth" => "a script",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_format_that_names_other_files_is_allowed() {
        for name in SELF_CONTAINED {
            assert_eq!(reference_format(name), None, "{name}");
        }
    }

    #[test]
    fn names_can_stand_in_a_comma_separated_list() {
        assert!(
            SELF_CONTAINED
                .iter()
                .all(|name| !name.is_empty() && !name.contains(','))
        );
    }
}
