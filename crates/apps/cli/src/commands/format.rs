//! The formats that a text can be written in.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
};

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

/// Writes the file so that it is there whole or not at all. What a link names is written, not the
/// link; what is no file (a pipe, a terminal, `/dev/null`) is written to as it is.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), Failure> {
    written(path, text).map_err(|e| {
        Failure::new(
            ExitCode::Failed,
            format!("can't write {}: {e}", path.display()),
        )
    })
}

fn written(path: &Path, text: &str) -> io::Result<()> {
    let before = match path.metadata() {
        Ok(before) if !before.is_file() => {
            return OpenOptions::new()
                .write(true)
                .open(path)?
                .write_all(text.as_bytes());
        }
        Ok(before) => Some(before.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let path = match before {
        Some(_) => path.canonicalize()?,
        None => path.to_owned(),
    };
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".speakr-");
    // A temporary file is closed to others; a result is an ordinary file, as open as the user's
    // mask leaves it.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Some(permissions) = before {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_there_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_whole(&path, "longer than the next").unwrap();
        write_whole(&path, "next").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "next");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn who_may_read_a_file_may_read_it_after() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        write_whole(&path, "after").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn what_a_link_names_is_written_and_what_is_no_file_stays_what_it_is() {
        use std::os::unix::fs::FileTypeExt;
        let folder = tempfile::tempdir().unwrap();
        let (named, link) = (folder.path().join("a.txt"), folder.path().join("link"));
        fs::write(&named, "before").unwrap();
        std::os::unix::fs::symlink(&named, &link).unwrap();
        write_whole(&link, "after").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&named).unwrap(), "after");
        let null = Path::new("/dev/null");
        write_whole(null, "lost").unwrap();
        assert!(null.metadata().unwrap().file_type().is_char_device());
    }
}
