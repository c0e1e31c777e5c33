//! The formats that a text can be written in.

use std::path::Path;

use clap::ValueEnum;
use speakr_core::export::ExportFormat;

use crate::{
    failure::{ExitCode, Failure},
    output::Output,
};

/// A format of text with times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// The text alone
    Txt,
    /// SubRip subtitles
    Srt,
    /// WebVTT subtitles
    Vtt,
    /// Text, segments and all that is known of the recording
    Json,
    /// start, end (milliseconds) and text, tab-separated
    Tsv,
}

impl From<FormatArg> for ExportFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Txt => Self::Txt,
            FormatArg::Srt => Self::Srt,
            FormatArg::Vtt => Self::Vtt,
            FormatArg::Json => Self::Json,
            FormatArg::Tsv => Self::Tsv,
        }
    }
}

impl FormatArg {
    /// The format to write in: the one that was `asked` for, else the one that is `set`, else
    /// text. `--json` asks for JSON, and contradicts another that is asked for.
    pub(crate) fn choose(
        asked: Option<Self>,
        set: Option<Self>,
        output: Output,
    ) -> Result<ExportFormat, Failure> {
        let chosen = match asked {
            Some(format) if format != Self::Json && output.is_json() => {
                let name = ExportFormat::from(format).as_str();
                return Err(Failure::new(
                    ExitCode::Usage,
                    format!("--json asks for JSON, and the format {name} is none"),
                )
                .hint("leave one of the two out"));
            }
            Some(format) => format,
            None if output.is_json() => Self::Json,
            None => set.unwrap_or(Self::Txt),
        };
        Ok(chosen.into())
    }
}

/// Writes the file so that it is there whole or not at all.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".speakr-")
            .tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // A temporary file is closed to others; a result is an ordinary file.
            file.as_file()
                .set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|e| {
        Failure::new(
            ExitCode::Failed,
            format!("can't write {}: {e}", path.display()),
        )
    })
}
