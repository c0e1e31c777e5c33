//! What runs ONNX graphs: tract (in pure Rust, the default) or an ONNX Runtime library.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::error::EmbedderError;

/// What runs ONNX graphs. One process has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OnnxRuntime {
    /// tract, which is part of this program.
    #[default]
    Tract,
    /// An ONNX Runtime library (`libonnxruntime.so`, `.dylib`, `onnxruntime.dll`), 1.24 or newer.
    Library(PathBuf),
}

impl OnnxRuntime {
    /// The library that `ORT_DYLIB_PATH` names (the variable that `ort` itself reads), else tract.
    #[must_use]
    pub fn from_env() -> Self {
        match env::var_os("ORT_DYLIB_PATH") {
            Some(path) if !path.is_empty() => Self::Library(PathBuf::from(path)),
            _ => Self::Tract,
        }
    }

    /// Makes this the runtime of the process. Doing so again does nothing.
    pub(crate) fn install(&self) -> Result<(), EmbedderError> {
        static CHOSEN: Mutex<Option<OnnxRuntime>> = Mutex::new(None);
        let mut chosen = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner);
        match &*chosen {
            Some(current) if current == self => return Ok(()),
            Some(current) => {
                return Err(EmbedderError::RuntimeChosen {
                    current: current.to_string(),
                });
            }
            None => {}
        }
        let api = match self {
            Self::Tract => sys::tract_api(),
            Self::Library(path) => sys::library_api(path)?,
        };
        // `set_api` refuses only where an API is set already, which nothing else here does.
        if !ort::set_api(api) {
            return Err(EmbedderError::RuntimeChosen {
                current: "another ONNX runtime".into(),
            });
        }
        *chosen = Some(self.clone());
        Ok(())
    }
}

impl fmt::Display for OnnxRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tract => f.write_str("tract"),
            Self::Library(path) => write!(f, "the library {}", path.display()),
        }
    }
}

/// The C interface that `ort` speaks, whoever answers it.
#[allow(unsafe_code)]
mod sys {
    use std::ffi::{CStr, c_char};

    use ort::sys::{
        ORT_API_VERSION, OrtApi, OrtApiBase, OrtMemoryInfo, OrtSession, OrtStatusPtr,
        OrtTensorTypeAndShapeInfo,
    };

    use super::{EmbedderError, Path};

    /// tract behind ONNX Runtime's interface, with the three functions that `ort` calls since its
    /// release candidate 12 and that `ort-tract` 0.4 leaves unimplemented.
    pub(super) fn tract_api() -> OrtApi {
        OrtApi {
            SetSymbolicDimensions: set_symbolic_dimensions,
            SessionGetMemoryInfoForInputs: session_memory_info,
            SessionGetMemoryInfoForOutputs: session_memory_info,
            ..ort_tract::api()
        }
    }

    /// Names of dimensions have no meaning to tract: nothing to do.
    unsafe extern "system" fn set_symbolic_dimensions(
        _info: *mut OrtTensorTypeAndShapeInfo,
        _names: *mut *const c_char,
        _len: usize,
    ) -> OrtStatusPtr {
        OrtStatusPtr::default()
    }

    /// All of tract's memory is the CPU's. Its memory infos are dangling pointers that nobody
    /// dereferences (as in `ort-tract`'s own `GetTensorMemoryInfo`).
    unsafe extern "system" fn session_memory_info(
        _session: *const OrtSession,
        infos: *mut *const OrtMemoryInfo,
        len: usize,
    ) -> OrtStatusPtr {
        for i in 0..len {
            // SAFETY: `ort` passes an array of `len` pointers to be filled.
            unsafe { *infos.add(i) = std::ptr::dangling() };
        }
        OrtStatusPtr::default()
    }

    /// The interface of an ONNX Runtime library. The library stays loaded until the process ends.
    pub(super) fn library_api(path: &Path) -> Result<OrtApi, EmbedderError> {
        let error = |reason: String| EmbedderError::Library {
            path: path.to_owned(),
            reason,
        };
        // What the system said is in the cause.
        let unloadable = |cause: libloading::Error| {
            let system = std::error::Error::source(&cause).map(ToString::to_string);
            error(system.unwrap_or_else(|| cause.to_string()))
        };
        // SAFETY: loading a library runs its initialisers; the user named it as ONNX Runtime.
        let library = unsafe { libloading::Library::new(path) }.map_err(unloadable)?;
        // SAFETY: this is the symbol's signature in onnxruntime_c_api.h.
        let base =
            unsafe { library.get::<unsafe extern "C" fn() -> *const OrtApiBase>(b"OrtGetApiBase") }
                .map_err(unloadable)?;
        // SAFETY: as above; it takes nothing and gives a pointer to a static.
        let base = unsafe { base() };
        if base.is_null() {
            return Err(error("it gives no API".into()));
        }
        // SAFETY: a non-null base points to a static OrtApiBase.
        let api = unsafe { ((*base).GetApi)(ORT_API_VERSION) };
        if api.is_null() {
            // SAFETY: GetVersionString gives a static, NUL-terminated string.
            let version = unsafe { CStr::from_ptr(((*base).GetVersionString)()) };
            return Err(error(format!(
                "its version is {}, and 1.{ORT_API_VERSION} or newer is needed",
                version.to_string_lossy()
            )));
        }
        // The functions must stay where they are.
        std::mem::forget(library);
        // SAFETY: a non-null API of this version begins with OrtApi as `ort` declares it, a plain
        // table of function pointers.
        Ok(unsafe { std::ptr::read(api) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_library_is_refused_with_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = sys::library_api(file.path()).err().unwrap();
        assert!(matches!(error, EmbedderError::Library { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains(&file.path().display().to_string())
        );
    }

    #[test]
    fn a_process_keeps_the_runtime_it_chose_first() {
        OnnxRuntime::Tract.install().unwrap();
        OnnxRuntime::Tract.install().unwrap();
        let error = OnnxRuntime::Library("/nowhere/libonnxruntime.so".into()).install();
        let error = error.unwrap_err();
        assert!(
            matches!(error, EmbedderError::RuntimeChosen { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("tract"));
    }
}
