//! What goes over the wire: commands, events, subjects and headers.
