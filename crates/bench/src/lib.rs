//! Measures speakr, side by side with a peer.
