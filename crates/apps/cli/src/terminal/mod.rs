//! The terminal while somebody speaks: keys in, level meter and growing text out.

mod keys;
mod live;
pub(crate) mod screen;

pub(crate) use keys::{Key, Keys};
pub(crate) use live::{LiveView, State};
