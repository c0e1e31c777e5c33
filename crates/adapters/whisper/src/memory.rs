//! What a decode has used goes back to the system when it ends.
//!
//! glibc takes large blocks from the system one by one and gives them back when they are freed, but only as long as
//! none is: with the first it begins to keep such blocks for later, up to 32 MB each. A decoder's state is several of
//! them, made anew for each piece on whatever thread is free, and each thread has a heap of its own: what is kept fits
//! the next one badly. Three hours of speech came to 708 MB and were still growing; with this they don't grow
//! (`speakr-bench length`).

#![allow(unsafe_code)]

/// Blocks of this size and more go back at once. A decoder's are of some megabytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GIVEN_BACK_BYTES: libc::c_int = 1 << 20;

/// Has large blocks given back, for the whole process. Other systems' allocators do so anyway, or can't be told.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `mallopt` takes two numbers and may be called at any time; setting the threshold stops it from
        // being raised (mallopt(3)).
        let taken = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, GIVEN_BACK_BYTES) };
        if taken == 0 {
            tracing::debug!("the allocator keeps what is freed");
        }
    }
}
