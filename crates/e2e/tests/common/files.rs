//! Looks into the files that a server keeps.

use std::path::Path;

/// Files below `folder` that hold `words`.
pub fn files_with(folder: &Path, words: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, words));
        } else if let Ok(bytes) = std::fs::read(&path)
            && String::from_utf8_lossy(&bytes).contains(words)
        {
            found.push(path.display().to_string());
        }
    }
    found
}
