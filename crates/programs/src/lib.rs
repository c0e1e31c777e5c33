//! Programs of this machine that adapters run: where they are, and the line that installs them.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// Package managers, and how each is asked for a package.
const MANAGERS: [(&str, &str); 6] = [
    ("apt-get", "sudo apt-get install "),
    ("dnf", "sudo dnf install "),
    ("pacman", "sudo pacman -S "),
    ("zypper", "sudo zypper install "),
    ("apk", "sudo apk add "),
    ("nix-env", "nix-env -iA nixpkgs."),
];

/// The first program of that name on `PATH`; on Windows with or without `.exe`.
#[must_use]
pub fn on_path(name: &OsStr) -> Option<PathBuf> {
    on_path_in(&search(), name)
}

/// The same in `search`, which is written like `PATH`.
#[must_use]
pub fn on_path_in(search: &OsStr, name: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(search).find_map(|folder| {
        let candidate = folder.join(name);
        if is_program(&candidate) {
            return Some(candidate);
        }
        let with_suffix = candidate.with_extension("exe");
        (cfg!(windows) && is_program(&with_suffix)).then_some(with_suffix)
    })
}

/// Whether there is a file that can be run.
#[must_use]
pub fn is_program(path: &Path) -> bool {
    let Ok(metadata) = path.metadata() else {
        return false;
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    metadata.is_file()
}

/// The line that installs `package` with the package manager found here.
#[must_use]
pub fn install_line(package: &str) -> String {
    install_line_in(&search(), package)
}

/// The same where programs are looked for in `search`, which is written like `PATH`.
#[must_use]
pub fn install_line_in(search: &OsStr, package: &str) -> String {
    if cfg!(target_os = "macos") {
        return format!("brew install {package}");
    }
    if cfg!(windows) {
        return format!("winget install {package}");
    }
    let line = MANAGERS
        .iter()
        .find(|(program, _)| on_path_in(search, OsStr::new(program)).is_some())
        .unwrap_or(&MANAGERS[0])
        .1;
    format!("{line}{package}")
}

fn search() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A folder with these files, which can be run.
    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder
    }

    #[test]
    fn a_program_is_a_file_that_can_be_run_and_the_first_folder_wins() {
        let (first, second) = (folder(&[]), folder(&["player"]));
        std::fs::write(first.path().join("player"), "text").unwrap();
        let search = std::env::join_paths([first.path(), second.path()]).unwrap();
        let name = OsStr::new("player");
        assert_eq!(
            on_path_in(&search, name),
            Some(second.path().join("player"))
        );
        assert_eq!(on_path_in(first.path().as_os_str(), name), None);
        assert_eq!(on_path_in(OsStr::new(""), name), None);
    }

    #[test]
    fn the_install_line_is_that_of_the_package_manager_that_is_here() {
        for (manager, line) in [
            ("dnf", "sudo dnf install xclip"),
            ("apk", "sudo apk add xclip"),
            ("nix-env", "nix-env -iA nixpkgs.xclip"),
            ("nothing", "sudo apt-get install xclip"),
        ] {
            let folder = folder(&[manager]);
            let search = folder.path().as_os_str();
            assert_eq!(install_line_in(search, "xclip"), line);
        }
    }
}
