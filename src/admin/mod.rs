//! HTTP on the control thread: health and stats, from copies.
