//! What a child process may use, and that it ends with its parent.

use std::process::Command;

/// Bounds of a child process.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(not(unix), allow(dead_code))]
pub(crate) struct Bounds {
    /// Bytes of address space (enforced on Linux).
    pub(crate) memory_bytes: Option<u64>,
    /// Seconds of CPU time (enforced on Unix).
    pub(crate) cpu_s: Option<u64>,
}

/// Seconds of CPU time between the signal that can be handled and the one that can't.
#[cfg(unix)]
const CPU_GRACE_S: u64 = 5;

/// Puts `command` into a process group of its own (Ctrl-C in the terminal is for speakr to
/// judge), under `bounds`, and lets the kernel kill it when speakr dies.
pub(crate) fn confine(command: &mut Command, bounds: Bounds) {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;
        command.process_group(0);
        before_exec(command, bounds);
    }
    #[cfg(not(unix))]
    {
        let _ = bounds;
        #[cfg(windows)]
        {
            use std::os::windows::process::CommandExt as _;
            // CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW, from winbase.h.
            command.creation_flags(0x0000_0200 | 0x0800_0000);
        }
    }
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn before_exec(command: &mut Command, bounds: Bounds) {
    use std::os::unix::process::CommandExt as _;

    use rustix::process::{Resource, Rlimit, setrlimit};

    #[cfg(target_os = "linux")]
    let parent = i32::try_from(std::process::id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);

    let prepare = move || {
        if let Some(seconds) = bounds.cpu_s {
            let bound = Rlimit {
                current: Some(seconds),
                maximum: Some(seconds + CPU_GRACE_S),
            };
            setrlimit(Resource::Cpu, bound)?;
        }
        #[cfg(target_os = "linux")]
        {
            if let Some(bytes) = bounds.memory_bytes {
                let bound = Rlimit {
                    current: Some(bytes),
                    maximum: Some(bytes),
                };
                setrlimit(Resource::As, bound)?;
            }
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            // The parent may have died before the line above took effect.
            if rustix::process::getppid() != parent {
                return Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes system calls only (prctl, setrlimit,
    // getppid): it takes no lock, allocates nothing and touches no state of other threads.
    unsafe {
        command.pre_exec(prepare);
    }
}
