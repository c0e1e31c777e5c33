//! The store of record on a file system, and one-machine plumbing.
