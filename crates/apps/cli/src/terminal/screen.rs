//! What is drawn in place on standard error (a bar, the live view), and what is printed meanwhile:
//! the drawn lines make room for it and stand below it again.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// Lines that are drawn again and again in the same place.
pub(crate) trait Drawn: Send + Sync {
    /// Takes the lines away, lets `print` print, and draws them again.
    fn aside(&self, print: &mut dyn FnMut());
}

impl Drawn for ProgressBar {
    fn aside(&self, print: &mut dyn FnMut()) {
        self.suspend(print);
    }
}

static DRAWN: Mutex<Option<Weak<dyn Drawn>>> = Mutex::new(None);

/// From now on, as long as `drawn` lives, what is printed is printed above it.
pub(crate) fn draw(drawn: &Arc<dyn Drawn>) {
    *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(drawn));
}

/// Prints above what is drawn.
pub(crate) fn above(print: &mut dyn FnMut()) {
    let drawn = {
        let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
        drawn.as_ref().and_then(Weak::upgrade)
    };
    match drawn {
        Some(drawn) => drawn.aside(print),
        None => print(),
    }
}

/// A bar on standard error; one that draws nothing where nobody watches.
pub(crate) fn bar(output: Output, template: &str) -> Arc<ProgressBar> {
    if !output.is_watched() {
        return Arc::new(ProgressBar::hidden());
    }
    let bar = Arc::new(ProgressBar::with_draw_target(
        None,
        ProgressDrawTarget::stderr(),
    ));
    bar.set_style(style(template));
    let drawn: Arc<dyn Drawn> = bar.clone();
    draw(&drawn);
    bar
}

/// The looks of a bar.
pub(crate) fn style(template: &str) -> ProgressStyle {
    // A template that can't be read leaves the plain spinner.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .progress_chars("━╸ ")
}

/// Where logs go: to standard error, above what is drawn there.
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = Ok(0);
        above(&mut || written = io::stderr().lock().write(bytes));
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
